"""WeCom on a loopback socket, as its documents describe the login of an app of one's own.

`async with wecom_server() as wecom:` gives its address and what to say next; without instructions
it behaves: codes are good once, tokens for 7200 seconds, and the same one is given until it ends.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.serving import served

MEMBER = {"userid": "zhangsan", "user_ticket": "TICKET"}
STRANGER = {"openid": "oAbc-123_stranger", "external_userid": "wmExternal"}
LIFETIME = 7200
_SCOPES = ("snsapi_base", "snsapi_privateinfo")


@dataclass
class WeComServer:
    """One corporation with one app. `visitor` is whoever opens the login page."""

    corp_id: str = "ww0123456789abcdef"
    agent_id: str = "1000002"
    secret: str = "wecom-app-secret-0123456789-ABCDEFGHIJKLMNO"
    trusted_host: str = "chat.example.com"
    visitor: dict[str, str] = field(default_factory=lambda: dict(MEMBER))
    expires_in: int = LIFETIME
    url: str = ""
    calls: list[str] = field(default_factory=list)
    token: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # an API call came
    pause: asyncio.Event | None = None  # API calls wait for it
    script: dict[str, list[Response]] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _ended_tokens: set[str] = field(default_factory=set)

    @property
    def settings(self) -> dict[str, str]:
        """Ours for this app."""
        return {
            "ent_wechat_corpid": self.corp_id,
            "ent_wechat_agentid": self.agent_id,
            "ent_wechat_appsecret": self.secret,
            "ent_wechat_login_url": self.url,
            "ent_wechat_api_url": self.url,
            "server_address": f"https://{self.trusted_host}/api",
        }

    def count(self, call: str) -> int:
        return self.calls.count(call)

    def then(self, call: str, body: Any, status: int = 200) -> None:
        """The next answer to `gettoken` or `getuserinfo`: JSON, or text as it is."""
        answer = (
            PlainTextResponse(body, status) if isinstance(body, str) else JSONResponse(body, status)
        )
        self.script.setdefault(call, []).append(answer)

    def code(self) -> str:
        """A code for the visitor, as if the login page had been seen."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = dict(self.visitor)
        return code

    def end_token(self) -> None:
        """The app's token ends before its time."""
        self._ended_tokens.add(self.token)
        self.token = ""

    async def authorize(self, request: Request) -> Response:
        self.calls.append("authorize")
        asked = request.query_params
        back = urlsplit(asked.get("redirect_uri", ""))
        problems = {
            "appid": asked.get("appid") != self.corp_id,
            "agentid": asked.get("agentid") != self.agent_id,
            "response_type": asked.get("response_type") != "code",
            "scope": asked.get("scope") not in _SCOPES,
            "state": not re.fullmatch(r"[a-zA-Z0-9]{0,128}", asked.get("state", "")),
            "redirect_uri": back.scheme not in ("http", "https")
            or back.hostname != self.trusted_host,
        }
        wrong = [name for name, is_wrong in problems.items() if is_wrong]
        if wrong:
            return PlainTextResponse(f"wrong: {', '.join(wrong)}", 400)
        query = urlencode({"code": self.code(), "state": asked.get("state", "")})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def gettoken(self, request: Request) -> Response:
        if answer := await self._scripted("gettoken"):
            return answer
        if request.query_params.get("corpid") != self.corp_id:
            return _error(40013, "invalid corpid")
        if request.query_params.get("corpsecret") != self.secret:
            return _error(40001, "invalid credential")
        self.token = self.token or secrets.token_urlsafe(48)
        token = {"access_token": self.token, "expires_in": self.expires_in}
        return JSONResponse({"errcode": 0, "errmsg": "ok"} | token)

    async def getuserinfo(self, request: Request) -> Response:
        if answer := await self._scripted("getuserinfo"):
            return answer
        token = request.query_params.get("access_token", "")
        if token in self._ended_tokens:
            return _error(42001, "access_token expired")
        if not token or token != self.token:
            return _error(40014, "invalid access_token")
        user = self._codes.pop(request.query_params.get("code", ""), None)
        if user is None:
            return _error(40029, "invalid code")
        return JSONResponse({"errcode": 0, "errmsg": "ok"} | user)

    async def _scripted(self, call: str) -> Response | None:
        self.calls.append(call)
        self.asked.set()
        if self.pause:
            await self.pause.wait()
        return self.script[call].pop(0) if self.script.get(call) else None


@asynccontextmanager
async def wecom_server() -> AsyncIterator[WeComServer]:
    """A running WeCom."""
    wecom = WeComServer()
    app = Starlette(
        routes=[
            Route("/connect/oauth2/authorize", wecom.authorize),
            Route("/cgi-bin/gettoken", wecom.gettoken),
            Route("/cgi-bin/auth/getuserinfo", wecom.getuserinfo),
        ]
    )
    async with served(app) as url:
        wecom.url = url
        yield wecom


def _error(code: int, text: str) -> Response:
    more = f"https://open.work.weixin.qq.com/devtool/query?e={code}"
    hint = f"hint: [1700000000123456789012345], from ip: 192.0.2.1, more info at {more}"
    return JSONResponse({"errcode": code, "errmsg": f"{text}, {hint}"})
