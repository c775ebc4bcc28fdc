"""WeCom (企业微信): OAuth of an app of one's own, with the fields that its documents name."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import orjson

from auth_service.sso.provider import LoginRefused, ProviderUser
from auth_service.sso.shared_token import SharedToken
from servicekit.http import outside_client

WECOM_CLIENT = 1
CALLBACK = "/ent-wechat-sso"
TIMEOUT_SECONDS = 5.0
_MARGIN_SECONDS = 300
_INVALID_CODE = 40029
_STALE_TOKEN = (40014, 42001)
_ADMINISTRATOR = (
    "请联系管理员。 The WeCom login is not set up correctly, please tell your administrator."
)
_AWAY = "企业微信暂时无法访问,请稍后重试。 WeCom cannot be reached, please try again later."
_UNREADABLE = (
    "企业微信的应答无法识别,请稍后重试。 WeCom's answer is not understood, please try later."
)
logger = logging.getLogger(__name__)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_USER_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}")


@dataclass(frozen=True, slots=True)
class WeComApp:
    """An app as its administrator set it up, the provider's addresses, and the way back to us."""

    corp_id: str
    agent_id: str
    secret: str = field(repr=False)
    login_url: str
    api_url: str
    callback_url: str

    @property
    def is_set_up(self) -> bool:
        return bool(self.corp_id and self.agent_id and self.secret)


class WeCom:
    """Knows members by their user id and others by the open id that WeCom gives them."""

    method = "wecom"

    def __init__(
        self,
        app: WeComApp,
        clock: Callable[[], float],
        *,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        # The client would log every address, and the provider wants secrets in them.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._app, self._timeout = app, timeout
        # Reading the certificates takes as long as the rest of a start.
        self._http = outside_client() if app.is_set_up else None
        self._token = SharedToken(self._fetch_token, clock)

    async def authorize_url(self, state: str) -> str:
        self._require_settings()
        return (
            f"{self._app.login_url}/connect/oauth2/authorize?appid={quote(self._app.corp_id)}"
            f"&redirect_uri={quote(self._app.callback_url)}&response_type=code"
            f"&scope=snsapi_privateinfo&state={state}&agentid={quote(self._app.agent_id)}"
            "#wechat_redirect"
        )

    async def identify(self, code: str, state: str) -> ProviderUser:
        self._require_settings()
        token = await self._token.get()
        answer = await self._user_info(token, code)
        if answer["errcode"] in _STALE_TOKEN:
            token = await self._token.get(stale=token)
            answer = await self._user_info(token, code)
        if answer["errcode"]:
            raise self._refused(answer, token)
        return _user(answer)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _user_info(self, token: str, code: str) -> dict[str, Any]:
        return await self._get("/cgi-bin/auth/getuserinfo", access_token=token, code=code)

    async def _fetch_token(self) -> tuple[str, float]:
        path, app = "/cgi-bin/gettoken", self._app
        answer = await self._get(path, corpid=app.corp_id, corpsecret=app.secret)
        if answer["errcode"]:
            self._tell("gettoken", answer)
            message = f"企业微信登录配置有误({answer['errcode']}),{_ADMINISTRATOR}"
            raise LoginRefused(message, "configuration")
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int):
            raise LoginRefused(_UNREADABLE, "provider")
        return token, seconds - _MARGIN_SECONDS

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        """The answer, which has an errcode. Raises LoginRefused."""
        assert self._http is not None  # only what is set up comes here
        try:
            with anyio.fail_after(self._timeout):
                answer = await self._http.get(self._app.api_url + path, params=query)
        except (httpx.HTTPError, TimeoutError) as error:
            # Only its kind: its text may hold the address, and that a secret.
            logger.warning("WeCom cannot be reached: %s", type(error).__name__)
            raise LoginRefused(_AWAY, "provider") from None
        if answer.status_code != httpx.codes.OK:
            logger.warning("WeCom answered %s with status %s", path, answer.status_code)
            raise LoginRefused(_AWAY, "provider")
        return _object(answer.content)

    def _refused(self, answer: dict[str, Any], token: str) -> LoginRefused:
        guess = answer["errcode"] == _INVALID_CODE
        if not guess:
            self._tell("getuserinfo", answer, token)
        message = f"获取用户信息失败:{self._errmsg(answer, token)}"
        return LoginRefused(message, "code" if guess else "provider", guess=guess)

    def _tell(self, call: str, answer: dict[str, Any], token: str = "") -> None:
        errmsg = self._errmsg(answer, token)
        logger.warning("WeCom refused %s: %s %s", call, answer["errcode"], errmsg)

    def _errmsg(self, answer: dict[str, Any], token: str) -> str:
        """What the provider says, short, printable and without our secrets."""
        text = _UNPRINTABLE.sub(" ", str(answer.get("errmsg", answer["errcode"])))
        for secret in (self._app.secret, token):
            text = text.replace(secret, "***") if secret else text
        return text[:200]

    def _require_settings(self) -> None:
        if not self._app.is_set_up:
            raise LoginRefused(f"企业微信登录未配置,{_ADMINISTRATOR}", "configuration")


def _object(content: bytes) -> dict[str, Any]:
    """Raises LoginRefused."""
    try:
        answer = orjson.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("errcode"), int):
        logger.warning("WeCom's answer is not understood")
        raise LoginRefused(_UNREADABLE, "provider")
    return answer


def _user(answer: dict[str, Any]) -> ProviderUser:
    """Raises LoginRefused."""
    user_id = answer.get("userid") or answer.get("openid")
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise LoginRefused(_UNREADABLE, "provider")
    return ProviderUser(user_id, user_id[:50])
