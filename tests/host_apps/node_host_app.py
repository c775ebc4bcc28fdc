"""The Node example's host app, registered and started as the guide says."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.programs import program
from tests.stack import ROOT, Stack, free_ports


@dataclass(frozen=True, slots=True)
class HostApp:
    """A running host app: where it is, and which client it is."""

    url: str
    client_id: str


@contextmanager
def running_host_app(stack: Stack, folder: Path) -> Iterator[HostApp]:
    """`folder` gets its keys."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    _make_keys(folder)
    public = ("--no-v1-key", "--signing-key", str(folder / "public.pem"))
    added = stack.run("auth_service", "client", "add", "Intranet", *public, "--origin", url)
    number = re.search(r"client id: (\d+)", added)
    assert number, added
    private = ("--client-id", number[1], "--private-key", str(folder / "private.pem"))
    process = subprocess.Popen(
        [
            *(program("node"), "examples/host_apps/node/host-app.mjs", *private),
            *("--chat", stack.url, "--port", str(port)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == f"Open {url}\n"
        yield HostApp(url, number[1])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _make_keys(folder: Path) -> None:
    """As `openssl genpkey` and `openssl pkey -pubout` do."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "private.pem").write_bytes(private)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
