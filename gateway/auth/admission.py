"""Who may pass: which credential counts, what a cookie may do, which scope a route needs."""

from collections.abc import Container
from dataclasses import dataclass

from gateway.auth.identities import Identities
from gateway.auth.inbound import Inbound
from gateway.auth.session_cookie import require_csrf_token, require_own_page, set_cookie
from gateway.clients import Presentation, Principal
from gateway.errors import CredentialMissing, CredentialRefused
from gateway.routing import Route
from servicekit.errors import Forbidden, ServiceError


@dataclass(slots=True)
class Admitted:
    """A principal that may pass, by which credential, and the cookie to give it (if any)."""

    principal: Principal
    credential: str
    presented_as: Presentation
    set_cookie: str | None = None


class Admission:
    """The one authoriser: an explicit credential beats the cookies; `origins` are the settings'."""

    def __init__(self, identities: Identities, origins: Container[str]) -> None:
        self._identities, self._origins = identities, origins

    async def admit(self, route: Route, inbound: Inbound) -> Admitted:
        """Raises CredentialMissing, CredentialRefused, TwoCredentials, Forbidden, Unavailable,
        TooManyRequests.
        """
        explicit = inbound.credential()
        if explicit is not None:
            admitted = await self._by_header(route, *explicit, inbound)
        elif route.admin_cookie:
            admitted = await self._by_admin_cookie(route, inbound)
        else:
            admitted = await self._by_cookie(route, inbound)
        if route.scope is not None and not admitted.principal.caller.may(route.scope):
            raise Forbidden(f"The scope {route.scope} is needed. 没有权限。")
        return admitted

    async def still_admitted(self, admitted: Admitted, address: str, *, max_age: float) -> bool:
        """False once auth_service has taken the identity back; no answer takes nothing back."""
        try:
            await self._identities.identify(
                admitted.credential,
                presented_as=admitted.presented_as,
                address=address,
                max_age=max_age,
            )
        except CredentialRefused as error:
            return error.reason == "expired"  # an answer that began in time may end
        except ServiceError:
            return True
        return True

    def forget(self, admitted: Admitted) -> None:
        """The credential may have been signed out: ask about it anew."""
        self._identities.forget(admitted.credential)

    async def _by_cookie(self, route: Route, inbound: Inbound) -> Admitted:
        cookie = inbound.cookie
        if cookie is None or not route.cookie:
            raise CredentialMissing
        principal = await self._identify_cookie(cookie, "cookie", inbound)
        require_own_page(route.method, inbound, self._origins, principal.origins)
        return Admitted(principal, cookie, "cookie")

    async def _by_admin_cookie(self, route: Route, inbound: Inbound) -> Admitted:
        """Operators use our own pages alone, and each change repeats the session's CSRF token."""
        cookie = inbound.admin_cookie
        if cookie is None:
            raise CredentialMissing
        require_own_page(route.method, inbound)
        principal = await self._identify_cookie(cookie, "admin_cookie", inbound)
        require_csrf_token(route.method, inbound, principal)
        return Admitted(principal, cookie, "admin_cookie")

    async def _identify_cookie(
        self, cookie: str, presented_as: Presentation, inbound: Inbound
    ) -> Principal:
        try:
            return await self._identities.identify(
                cookie, presented_as=presented_as, address=inbound.address
            )
        except CredentialRefused as error:
            raise CredentialRefused(error.reason, by_cookie=True) from None

    async def _by_header(
        self, route: Route, credential: str, presented_as: Presentation, inbound: Inbound
    ) -> Admitted:
        principal = self._identities.remembered(credential, presented_as)
        if principal is None:
            principal = await self._identities.identify(
                credential, presented_as=presented_as, address=inbound.address
            )
        admitted = Admitted(principal, credential, presented_as)
        # A session that another tab's user owns would let the H5's chat speak as that user.
        token = principal.session_token
        if (
            token is not None
            and route.surface == "wire"
            and inbound.cookie != token
            and not await self.is_cookie_of(principal, inbound)
        ):
            admitted.set_cookie = set_cookie(principal, inbound.scheme)
        return admitted

    async def is_cookie_of(self, principal: Principal, inbound: Inbound) -> bool:
        """Whether the request's cookie is a live session of the same principal."""
        cookie = inbound.cookie
        if cookie is None:
            return False
        try:
            other = await self._identities.identify(
                cookie, presented_as="cookie", address=inbound.address
            )
        except CredentialRefused:
            return False
        except ServiceError:  # nobody knows now; what is there stays
            return True
        return other.key == principal.key
