"""What the guard of web sources lets through: literal addresses, and a made-up resolver's."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kb_service.sources.addresses import is_public
from kb_service.sources.faults import FetchFault, Forbidden
from kb_service.sources.fetching import Fetcher, Limits, Validators
from kb_service.sources.guard import Guard, GuardedTransport, Policy, SystemResolver
from kb_service.sources.pace import Pace
from servicekit.http import outside_client
from tests.kb_service.websites import Website, website

NOT_PUBLIC = (
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    *("255.255.255.255", "100.100.100.200", "168.63.129.16"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1"),
    *("localhost", "", "127.1", "0x7f000001"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "114.114.114.114", "172.32.0.1", "2606:4700::1111", "2400:3200::1")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


class Names:
    """A resolver whose answers change with each question, as a hostile name server's do."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def addresses(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self._answers.pop(0)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"]])
async def test_one_bad_address_spoils_a_name(answer: list[str]) -> None:
    with pytest.raises(Forbidden, match="CRAWL_ALLOWED_HOSTS"):
        await Guard(Policy(), Names(answer)).addresses("example.com", 80)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "only http"),
        ("file:///etc/passwd", "only http"),
        ("gopher://127.0.0.1:70/", "only http"),
        ("http:///path", "no host"),
        ("http://user:secret@example.com/", "user name"),
        ("http://example.com:22/", "ports 80 and 443"),
        ("https://example.com:6379/", "ports 80 and 443"),
        ("http://example.com/" + "a" * 2_000, "longer"),
    ],
)
def test_urls_that_are_refused_unseen(url: str, why: str) -> None:
    with pytest.raises(Forbidden, match=why):
        Guard(Policy(), Names()).check_url(httpx.URL(url))


@pytest.mark.parametrize("text", ["wiki", "http://wiki:80", "wiki:http", "wiki:80/x", "a@wiki:80"])
def test_allowed_hosts_are_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Policy.parse(text)


async def test_only_the_allowed_port_of_an_allowed_host() -> None:
    guard = Guard(Policy.parse(" Wiki.example:8080 , [::1]:9000"), Names(*[["10.0.0.1"]] * 3))
    assert await guard.addresses("wiki.example", 8080) == ["10.0.0.1"]
    guard.check_url(httpx.URL("http://wiki.example.:8080/"))
    guard.check_url(httpx.URL("http://[::1]:9000/"))
    with pytest.raises(Forbidden):
        await guard.addresses("wiki.example", 80)
    with pytest.raises(Forbidden):
        await guard.addresses("other.example", 8080)


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with website() as served_site:
        yield served_site


def guarded(site: Website, *others: str) -> Guard:
    return Guard(Policy.parse(",".join([site.host, *others])), SystemResolver())


def fetching(
    guard: Guard, *, page_mb: int = 1, seconds: float = 5
) -> AbstractAsyncContextManager[Fetcher]:
    return Fetcher.open(guard, Pace(0), Limits(page_mb, seconds))


async def test_what_was_checked_is_what_is_connected_to(site: Website) -> None:
    """The second answer of the name server, a moment later, would lead into the own network."""
    port = int(site.host.rpartition(":")[2])
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    site.put("/", "here")
    policy = Policy(frozenset({("rebinding.example", port)}))
    async with outside_client(transport=GuardedTransport(Guard(policy, names))) as client:
        answer = await client.get(f"http://rebinding.example:{port}/")
    assert (answer.text, names.asked) == ("here", [("rebinding.example", port)])


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:7f00:1]/",
        "http://2130706433/",
        "//localhost/",
        "file:///etc/passwd",
    ],
)
async def test_each_redirect_is_checked(site: Website, to: str) -> None:
    site.redirect("/start", to)
    async with fetching(guarded(site)) as fetcher:
        with pytest.raises(Forbidden):
            async with fetcher.fetch(f"{site.url}/start"):
                pass


async def test_a_redirect_to_another_port_of_an_allowed_host_is_refused(site: Website) -> None:
    async with website() as other:
        other.put("/secret", "secret")
        site.redirect("/start", f"{other.url}/secret")
        async with fetching(guarded(site)) as fetcher:
            with pytest.raises(Forbidden):
                async with fetcher.fetch(f"{site.url}/start"):
                    pass
        assert other.asked == []


async def test_redirects_are_followed_but_not_for_ever(site: Website) -> None:
    site.put("/5", "there")
    for number in range(5):
        site.redirect(f"/{number}", f"{number + 1}")
    async with fetching(guarded(site)) as fetcher:
        async with fetcher.fetch(f"{site.url}/0") as fetched:
            assert fetched.body
            assert (fetched.url, fetched.body.read()) == (f"{site.url}/5", b"there")
        site.redirect("/before", "/0")
        with pytest.raises(FetchFault, match="too many redirects"):
            async with fetcher.fetch(f"{site.url}/before"):
                pass


async def _fault(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(FetchFault) as caught:
        async with fetcher.fetch(url):
            pass
    return str(caught.value)


async def test_a_page_ends_at_the_limit_however_it_is_packed(site: Website) -> None:
    site.put("/plain", b"a" * (1 << 20) + b"b")
    bomb = gzip.compress(b"a" * (200 << 20))
    site.put("/bomb", bomb, "text/html", Content_Encoding="gzip")
    site.put("/cut", gzip.compress(b"text" * 999)[:-9], "text/html", Content_Encoding="gzip")
    site.put("/odd", b"text", "text/html", Content_Encoding="br")
    site.put("/good", gzip.compress(b"a" * (1 << 20)), "text/html", Content_Encoding="gzip")
    async with fetching(guarded(site)) as fetcher:
        assert "larger than 1 MB" in await _fault(fetcher, f"{site.url}/plain")
        assert "larger than 1 MB" in await _fault(fetcher, f"{site.url}/bomb")
        assert "damaged" in await _fault(fetcher, f"{site.url}/cut")
        assert "damaged" in await _fault(fetcher, f"{site.url}/odd")
        async with fetcher.fetch(f"{site.url}/good") as fetched:
            assert fetched.size == 1 << 20


async def test_a_site_that_drips_is_left(site: Website) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # who may hang up at any time
            while b"robots.txt" in await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
            await reader.read()  # for ever

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with fetching(Guard(Policy.parse(host), SystemResolver()), seconds=0.2) as fetcher:
        assert "took too long" in await _fault(fetcher, f"http://{host}/")
    server.close()


async def test_a_host_that_is_not_there(site: Website) -> None:
    async with fetching(Guard(Policy.parse("127.0.0.1:1"), SystemResolver())) as fetcher:
        assert "cannot be reached" in await _fault(fetcher, "http://127.0.0.1:1/")
        assert "cannot be reached" in await _fault(fetcher, f"http://{'a' * 70}.example/")


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: chat2llm\nDisallow: /private\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: Chat2LLM\nDisallow: /*.html$", False),
        ("User-agent: *\nDisallow: /\nAllow: /page", True),
        ("User-agent: *\nDisallow:", True),
        ("<html>not found</html>", True),
    ],
)
async def test_robots_txt_is_honoured(site: Website, rules: str, allowed: bool) -> None:
    site.put("/page.html", "here")
    site.put("/robots.txt", rules, "text/plain")
    async with fetching(guarded(site)) as fetcher:
        if allowed:
            async with fetcher.fetch(f"{site.url}/page.html") as fetched:
                assert fetched.body
        else:
            assert "robots.txt" in await _fault(fetcher, f"{site.url}/page.html")
    assert ("/page.html" in site.asked) == allowed


@pytest.mark.parametrize(
    ("status", "allowed"), [(404, True), (403, True), (500, False), (503, False)]
)
async def test_robots_txt_that_is_not_there(site: Website, status: int, allowed: bool) -> None:
    site.put("/page.html", "here")
    site.fail("/robots.txt", status)
    async with fetching(guarded(site)) as fetcher:
        if allowed:
            async with fetcher.fetch(f"{site.url}/page.html"):
                pass
        else:
            assert "robots.txt" in await _fault(fetcher, f"{site.url}/page.html")


async def test_a_page_that_has_not_changed_is_not_sent_again(site: Website) -> None:
    site.put("/page.html", "here", ETag='"1"', Last_Modified="Sun, 22 Nov 2026 00:00:00 GMT")
    async with fetching(guarded(site)) as fetcher:
        async with fetcher.fetch(f"{site.url}/page.html") as fetched:
            known = fetched.validators
        assert known == Validators('"1"', "Sun, 22 Nov 2026 00:00:00 GMT")
        async with fetcher.fetch(f"{site.url}/page.html", known) as fetched:
            assert fetched.body is None


async def test_requests_to_a_host_keep_their_distance() -> None:
    now, slept = 100.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    pace = Pace(1, clock=lambda: now, sleep=sleep)
    for wished in (0, 0, 5):
        async with pace.turn("a:80", wished):
            now += 0.25
    async with pace.turn("b:80"):
        pass
    assert slept == [1, 5]


async def test_tls_goes_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    """A name server that is asked once, a certificate for the name, and no trust in others."""
    names_of_hello: list[str | None] = []
    server_side, client_side = certified("site.example", tmp_path, names_of_hello)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # refused: no request comes
            asked = await reader.readuntil(b"\r\n\r\n")
            body = next(line for line in asked.split(b"\r\n") if line.lower().startswith(b"host:"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    policy = Policy(frozenset({("site.example", port), ("other.example", port)}))
    guard = Guard(policy, Names(["127.0.0.1"], ["127.0.0.1"]))
    transport = GuardedTransport(guard, tls=client_side)
    async with outside_client(transport=transport) as client:
        found = await client.get(f"https://site.example:{port}/")
        assert found.text == f"Host: site.example:{port}"
        with pytest.raises(httpx.TransportError, match="certificate"):
            await client.get(f"https://other.example:{port}/")
    assert names_of_hello == ["site.example", "other.example"]
    server.close()


def certified(
    name: str, folder: Path, asked: list[str | None]
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for the name, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "site.pem"
    path.write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    server.sni_callback = lambda _, hello, __: asked.append(hello)
    return server, ssl.create_default_context(cadata=pem.decode())
