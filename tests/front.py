"""nginx in front of a gateway, with the configuration that we ship."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

from tests.programs import program
from tests.stack import ROOT, free_ports


@contextmanager
def nginx_in_front(gateway_url: str, folder: Path, *, h5: Path | None = None) -> Iterator[str]:
    """Its URL. `folder` gets its logs and temporary files; `h5` is a built H5, if any."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(_rendered(gateway_url, folder, h5 or folder / "no-h5", port))
    command = [program("nginx"), "-c", str(configuration), "-e", str(folder / "error.log")]
    # Run by root, its workers would be nobody, who may not read a test's folders.
    options = "daemon off;" + (" user root;" if os.getuid() == 0 else "")
    process = subprocess.Popen([*command, "-g", options], stdin=subprocess.DEVNULL)
    try:
        _wait_until_listening(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _rendered(gateway_url: str, folder: Path, h5: Path, port: int) -> str:
    """deploy/nginx.conf with the addresses and folders of its container replaced."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    replacements = {
        r"(?<= )/tmp/": f"{folder}/",
        r"server gateway:7861;": f"server {gateway_url.removeprefix('http://')};",
        r"listen 8080;": f"listen 127.0.0.1:{port};",
        r"root /srv/h5;": f"root {h5};",
        r"/dev/stdout": str(folder / "access.log"),
        r"/dev/stderr": str(folder / "error.log"),
    }
    for pattern, replacement in replacements.items():
        text, times = re.subn(pattern, replacement, text)
        assert times, f"deploy/nginx.conf has no {pattern}"
    return text


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "nginx ended; its error log says why"
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.02)
        else:
            return
