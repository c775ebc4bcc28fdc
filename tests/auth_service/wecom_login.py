"""A browser that logs in with WeCom, and what becomes of it."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

from tests.auth_service.conftest import Gateway
from tests.fakes.wecom import WeComServer

H5 = "https://h5.example.com"
OURS = "https://chat.example.com/api"


class Browser:
    """Goes where it is sent, with the cookies that it was given, up to our own front end."""

    def __init__(self, gateway: Gateway, wecom: WeComServer) -> None:
        self._gateway, self._wecom = gateway, wecom
        self.cookies: dict[str, str] = {}
        self.visited: list[str] = []
        self.headers: dict[str, str] = {}

    async def open(self, **query: str) -> httpx.Response:
        """Our `/sso`: the answer, not followed."""
        return await self._ours("/sso", {"client": "1"} | query)

    async def authorize(self) -> dict[str, str]:
        """From `/sso` over WeCom's page: what comes back with the browser."""
        return await self.log_in_there((await self.open()).headers["Location"])

    async def log_in_there(self, page: str) -> dict[str, str]:
        async with httpx.AsyncClient() as http:
            answer = await http.get(page)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["Location"])
        assert back._replace(query="").geturl() == f"{OURS}/ent-wechat-sso"
        return dict(parse_qsl(back.query))

    async def come_back(self, **query: str) -> httpx.Response:
        return await self._ours("/ent-wechat-sso", query)

    async def log_in(self) -> httpx.Response:
        return await self.come_back(**await self.authorize())

    async def follow(self, address: str, *, at_most: int = 30) -> str:
        """As a browser with the published H5 does it; where it ends."""
        for _ in range(at_most):
            self.visited.append(address)
            target = urlsplit(address)
            query = dict(parse_qsl(target.query))
            if address.startswith(self._wecom.url):
                back = await self.log_in_there(address)
                address = f"{OURS}/ent-wechat-sso?" + str(httpx.QueryParams(back))
            elif address.startswith(OURS):
                answer = await self._ours(target.path.removeprefix("/api"), query)
                address = answer.headers["Location"]
            elif address.startswith(f"{H5}/sso"):
                if (await self._gateway.introspect(query["token"], "header"))["active"]:
                    return f"{H5}/home"
                address = f"{OURS}/sso?client=1"  # what the H5 does on 401
            else:
                return address
        raise AssertionError(f"sent round in circles: {self.visited}")

    async def _ours(self, path: str, query: dict[str, str]) -> httpx.Response:
        headers = dict(self.headers)
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self._gateway.http.get(path, params=query, headers=headers)
        self.cookies |= dict(answer.cookies)
        self._gateway.http.cookies.clear()
        return answer


def token(answer: httpx.Response) -> str:
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(f"{H5}/sso?token=c2s-"), answer.headers["Location"]
    return parse_qs(urlsplit(answer.headers["Location"]).query)["token"][0]


def refusal(answer: httpx.Response, h5: str = H5) -> str:
    """What the 401 page shows."""
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(f"{h5}/401?message="), answer.headers["Location"]
    return parse_qs(urlsplit(answer.headers["Location"]).query)["message"][0]


async def caller(gateway: Gateway, credential: str) -> tuple[str, str, str]:
    answer = await gateway.introspect(credential, "url")
    assert answer["active"], answer
    shown = answer["caller"]
    return shown["client_id"], shown["user_id"], shown["username"]
