"""A small web site on a loopback port, which tests change while it is served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.serving import served


@dataclass
class Website:
    """`pages` are (status, content type, body, further headers) by path."""

    url: str = ""
    pages: dict[str, tuple[int, str, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def put(self, path: str, body: bytes | str, kind: str = "text/html", /, **headers: str) -> None:
        raw = body.encode() if isinstance(body, str) else body
        self.pages[path] = (200, kind, raw, {k.replace("_", "-"): v for k, v in headers.items()})

    def redirect(self, path: str, to: str) -> None:
        self.pages[path] = (302, "text/plain", b"", {"Location": to})

    def fail(self, path: str, status: int) -> None:
        self.pages[path] = (status, "text/plain", b"", {})

    def sitemap(self, *paths: str, at: str = "/sitemap.xml") -> None:
        urls = "".join(f"<url><loc>{self.url}{path}</loc></url>" for path in paths)
        self.put(at, f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>')

    async def answer(self, request: Request) -> Response:
        path: str = request.scope["path"]
        self.asked.append(path)
        self.agents.add(request.headers["User-Agent"])
        status, kind, body, headers = self.pages.get(path, (404, "text/plain", b"", {}))
        if "ETag" in headers and request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304)
        return Response(body, status, headers, media_type=kind)


@asynccontextmanager
async def website() -> AsyncIterator[Website]:
    site = Website()
    async with served(Starlette(routes=[Route("/{path:path}", site.answer)])) as url:
        site.url = url
        yield site


def page(title: str, *paragraphs: str) -> str:
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    return f"<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>"
