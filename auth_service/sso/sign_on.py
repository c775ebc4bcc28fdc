"""Single sign-on: from a browser that comes to a session, or to the page that says why not."""

from collections.abc import Mapping
from dataclasses import dataclass

from auth_service.errors import CredentialRefused
from auth_service.sessions import Sessions
from auth_service.sso.demo import DEMO_CLIENT, DemoLogin
from auth_service.sso.provider import LoginRefused, Provider, ProviderUser
from auth_service.sso.state import LoginStates
from auth_service.store.credentials import Store
from auth_service.watch import Attempt, Watch

_UNKNOWN_CLIENT = "无效的客户端,无法单点登录,请重新进入"
_PARAMETERS = "参数错误"
_CLIENT_DISABLED = "该应用的登录已停用,请联系管理员。 Logging in to this app has been disabled."
_USER_DISABLED = "该用户已停用,请联系管理员。 This user has been disabled."
_MAX_CODE = 512


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser: its address, and the cookies of its session and of its login under way."""

    address: str
    session_cookie: str | None = None
    login_cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Where the browser goes next; `login_cookie` is what it then has to keep."""

    target: str
    login_cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Ways:
    """How users log in: the demo, when it is on, and providers by their client."""

    demo: DemoLogin | None
    providers: Mapping[int, Provider]

    def client_id(self, client: str) -> int | None:
        """The client of this number, if its users log in here."""
        numbers = [*self.providers, *([DEMO_CLIENT] if self.demo else [])]
        return next((number for number in numbers if str(number) == client), None)


class SingleSignOn:
    """Sends browsers to where they log in and takes them back. Targets come from settings only."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        states: LoginStates,
        *,
        ways: Ways,
        watch: Watch,
        h5_address: str,
    ) -> None:
        self._store, self._sessions, self._states = store, sessions, states
        self._ways, self._watch, self._h5_address = ways, watch, h5_address

    async def begin(self, client: str, secret: str | None, visitor: Visitor) -> Step:
        """Raises TooManyFailures."""
        client_id = self._ways.client_id(client)
        attempt = _attempt(visitor, client_id)
        await self._watch.check(attempt)
        try:
            if client_id == DEMO_CLIENT and self._ways.demo:
                user = await self._ways.demo.identify(secret, visitor.session_cookie)
                return await self._enter(DEMO_CLIENT, user, self._ways.demo.method)
            return await self._leave(client_id, visitor)
        except LoginRefused as refusal:
            return await self._refused(refusal, attempt)

    async def finish(self, code: str, state: str, visitor: Visitor) -> Step:
        """Raises TooManyFailures."""
        attempt = _attempt(visitor, None)
        await self._watch.check(attempt)
        try:
            if not 0 < len(code) <= _MAX_CODE or not state:  # who declines has no code
                raise LoginRefused(_PARAMETERS, "parameters")
            client_id = await self._states.redeem(state, visitor.login_cookie)
            attempt = _attempt(visitor, client_id)
            provider = self._ways.providers.get(client_id)
            if provider is None:
                raise LoginRefused(f"拒绝访问, 未知客户端: {client_id}", "client")
            await self._require_enabled(client_id)
            user = await provider.identify(code, state)
            return await self._enter(client_id, user, provider.method)
        except LoginRefused as refusal:
            return await self._refused(refusal, attempt)

    async def _leave(self, client_id: int | None, visitor: Visitor) -> Step:
        if client_id is None:
            raise LoginRefused(_UNKNOWN_CLIENT, "client")
        await self._require_enabled(client_id)
        browser = self._states.browser(visitor.login_cookie)
        state = self._states.make(client_id, browser)
        return Step(await self._ways.providers[client_id].authorize_url(state), browser)

    async def _enter(self, client_id: int, user: ProviderUser, method: str) -> Step:
        """Its own checks, so that a refused browser stays on the page that says so."""
        await self._require_enabled(client_id)
        known = await self._store.user(client_id, user.user_id)
        if known and not known.enable:
            raise LoginRefused(_USER_DISABLED, "user disabled")
        try:
            await self._store.save_user(client_id, user.user_id, username=user.username)
            opened = await self._sessions.open(client_id, user.user_id, method=method)
        except CredentialRefused:  # deleted in this moment
            raise LoginRefused(_CLIENT_DISABLED, "client") from None
        return Step(f"{self._h5_address}/sso?token={opened.token}")

    async def _require_enabled(self, client_id: int) -> None:
        client = await self._store.client(client_id)
        if client is None:
            raise LoginRefused(f"拒绝访问, 未知客户端: {client_id}", "client")
        if not client.enable:
            raise LoginRefused(_CLIENT_DISABLED, "client disabled")

    async def _refused(self, refusal: LoginRefused, attempt: Attempt) -> Step:
        if refusal.guess:
            await self._watch.failed(attempt, refusal.reason)
        elif refusal.reason:
            self._watch.note(attempt, refusal.reason)
        return Step(f"{self._h5_address}/401?message={refusal}")


def _attempt(visitor: Visitor, client_id: int | None) -> Attempt:
    return Attempt(visitor.address, "sso", "" if client_id is None else f"client {client_id}")
