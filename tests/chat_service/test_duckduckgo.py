"""DuckDuckGo through `ddgs`, whose requests end at a proxy of ours that plays its page."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chat_service.errors import SearchFailed
from chat_service.web_search import Found
from chat_service.web_search.duckduckgo import DuckDuckGo

HOST = "html.duckduckgo.com"
RESULTS = """<html><body>
<div class="links_main links_deep result__body"><h2><a href="https://a.example/1">年假 规定</a></h2>
<a class="result__snippet" href="https://a.example/1">员工有<b>五天</b>年假</a></div>
<div class="result__body"><h2><a href="https://duckduckgo.com/y.js?ad">Ad</a></h2>
<a href="https://duckduckgo.com/y.js?ad">buy</a></div>
</body></html>"""


def certificates(folder: Path) -> tuple[Path, Path]:
    """An authority's, and one of the site with its key."""
    authority, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ours")])
    now = datetime.now(UTC)
    begun = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    trusted = (
        begun.subject_name(name)
        .public_key(authority.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, SHA256())
    )
    site = (
        begun.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]))
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(authority, SHA256())
    )
    paths = folder / "authority.pem", folder / "site.pem"
    paths[0].write_bytes(trusted.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths[1].write_bytes(site.public_bytes(Encoding.PEM) + secret)
    return paths


class Proxy:
    """Answers CONNECT, then as the site itself with `page`; None cuts the connection."""

    def __init__(self, site: Path) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(site)
        self.page: str | None = RESULTS
        self.asked: list[dict[str, list[str]]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(f"CONNECT {HOST}:443".encode())
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(self._context)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split()[0])
            self.asked.append(parse_qs((await reader.readexactly(length)).decode()))
            if self.page is not None:
                body = self.page.encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[tuple[Proxy, DuckDuckGo]]:
    authority, site = certificates(tmp_path)
    played = Proxy(site)
    server = await asyncio.start_server(played.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield played, DuckDuckGo(proxy=f"http://127.0.0.1:{port}", verify=str(authority))
    server.close()


async def test_results_of_the_page(proxy: tuple[Proxy, DuckDuckGo]) -> None:
    played, engine = proxy
    found = await engine.search("年假几天", limit=3)
    assert found == [Found("https://a.example/1", "年假 规定", "员工有五天年假")]
    assert (played.asked[0]["q"], played.asked[0]["l"]) == (["年假几天"], ["cn-zh"])
    await engine.search("holidays", limit=3)
    assert played.asked[1]["l"] == ["us-en"]


async def test_a_page_without_results(proxy: tuple[Proxy, DuckDuckGo]) -> None:
    played, engine = proxy
    played.page = "<html><body>No results</body></html>"
    assert await engine.search("q", limit=3) == []


async def test_a_connection_that_is_cut(proxy: tuple[Proxy, DuckDuckGo]) -> None:
    played, engine = proxy
    played.page = None
    with pytest.raises(SearchFailed):
        await engine.search("q", limit=3)
