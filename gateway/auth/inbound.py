"""What the outside sent, read in one pass: headers to pass on, the credential, the client."""

from starlette.types import Scope

from gateway.auth.peers import Peers, scheme_said
from gateway.clients import Presentation
from gateway.errors import CredentialRefused, HeadTooLarge, TwoCredentials

COOKIE_NAME = "chat2llm_session"
ADMIN_COOKIE_NAME = "chat2llm_admin"
SSO_COOKIE_NAME = "chat2llm_sso"  # auth_service's own, while a sign-in is on its way
_LONGEST_HEAD = 64 * 1024

# Read here, and either consumed or written anew: none of them is passed on as it came.
_READ = frozenset(
    (
        b"api-token",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"x-csrf-token",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    )
)
_DROPPED = frozenset(
    (
        b"expect",
        b"forwarded",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"true-client-ip",
        b"upgrade",
        b"x-client-cert",
        b"x-client-ip",
        b"x-original-url",
        b"x-real-ip",
        b"x-request-id",
        b"x-rewrite-url",
    )
)
# Ours, and what proxies use to say who or where somebody is: no service shall ever believe it.
_DROPPED_STARTS = (b"x-chat2llm", b"x-forwarded-", b"x-remote-", b"remote-", b"x-auth")
_REPEATABLE = frozenset((b"api-token", b"authorization", b"cookie", b"x-forwarded-for"))


class Inbound:
    """One request's head. `headers` are those that may be passed on."""

    __slots__ = ("_read", "address", "has_body", "headers", "host", "scheme")

    def __init__(self, scope: Scope, peers: Peers) -> None:
        """Raises HeadTooLarge."""
        self._read: dict[bytes, str] = {}
        self.headers: list[tuple[str, str]] = []
        size = len(scope["raw_path"]) + len(scope["query_string"])
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name in _READ:
                self._note(name, _text(value))
            # An underscore becomes a hyphen in some servers: such names only serve to forge.
            elif not (name in _DROPPED or b"_" in name or name.startswith(_DROPPED_STARTS)):
                self.headers.append((name.decode("latin-1"), _text(value)))
        if size > _LONGEST_HEAD:
            raise HeadTooLarge
        self._drop_hop_by_hop()
        self._locate(scope, peers)
        self.has_body = (
            self._read.get(b"content-length", "0") != "0" or b"transfer-encoding" in self._read
        )

    @property
    def content_length(self) -> str | None:
        if b"transfer-encoding" in self._read:
            return None
        return self._read.get(b"content-length")

    @property
    def origin(self) -> str | None:
        return self._read.get(b"origin")

    @property
    def site(self) -> str | None:
        return self._read.get(b"sec-fetch-site")

    @property
    def csrf_token(self) -> str:
        return self._read.get(b"x-csrf-token", "")

    @property
    def cookie(self) -> str | None:
        return self.cookie_named(COOKIE_NAME)

    @property
    def admin_cookie(self) -> str | None:
        return self.cookie_named(ADMIN_COOKIE_NAME)

    def cookie_named(self, wanted: str) -> str | None:
        """Its value; None also when several differ, for then one of them was planted."""
        jar = self._read.get(b"cookie")
        if not jar or wanted not in jar:
            return None
        pairs = (part.strip().partition("=") for part in jar.replace("\n", ";").split(";"))
        values = {value.strip('"') for name, _, value in pairs if name == wanted}
        return values.pop() or None if len(values) == 1 else None

    def credential(self) -> tuple[str, Presentation] | None:
        """The explicit one. Raises TwoCredentials, and CredentialRefused for what is no Bearer."""
        token = self._read.get(b"api-token", "").strip()
        authorization = self._read.get(b"authorization", "").strip()
        if "\n" in token or "\n" in authorization or (token and authorization):
            raise TwoCredentials
        if token:
            return token, "header"
        if not authorization:
            return None
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise CredentialRefused("invalid")
        return credential.strip(), "bearer"

    def _note(self, name: bytes, value: str) -> None:
        if name in self._read and name in _REPEATABLE:
            separator = "," if name == b"x-forwarded-for" else "\n"
            self._read[name] += separator + value
        else:
            self._read[name] = value

    def _drop_hop_by_hop(self) -> None:
        connection = self._read.get(b"connection")
        if connection and connection.lower() not in ("keep-alive", "close"):
            named = {token.strip().lower() for token in connection.split(",")}
            self.headers = [pair for pair in self.headers if pair[0] not in named]

    def _locate(self, scope: Scope, peers: Peers) -> None:
        client = scope.get("client")
        peer = client[0] if client else ""
        self.address, self.scheme, self.host = peer, scope["scheme"], self._read.get(b"host", "")
        if peers.trusts(peer):
            self.address = peers.client_of(peer, self._read.get(b"x-forwarded-for", ""))
            said = self._read.get(b"x-forwarded-proto", "")
            self.scheme = scheme_said(said) or self.scheme
            self.host = self._read.get(b"x-forwarded-host") or self.host


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
