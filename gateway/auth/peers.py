"""From where a request really came; only trusted proxies may say so by header."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.types import Scope


class Peers:
    """Decides from where a request really came; only trusted proxies may say so by header."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)
        self.trusts = lru_cache(1024)(self._trusts) if trusted else _trust_nobody

    def client_of(self, peer: str, forwarded_for: str) -> str:
        """The last address of the chain that no trusted proxy vouches for as one of its own."""
        client = peer
        for hop in reversed(forwarded_for.split(",")):
            if not self.trusts(client) or not _is_address(hop.strip()):
                break
            client = hop.strip()
        return client

    def scheme_of(self, scope: Scope) -> str:
        """How the browser came, read from the whole head."""
        peer = scope.get("client")
        if peer and self.trusts(peer[0]):
            said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
            return scheme_said(b"".join(said[-1:]).decode("latin-1")) or str(scope["scheme"])
        return str(scope["scheme"])

    def _trusts(self, address: str) -> bool:
        if not _is_address(address):
            return False
        parsed = ip_address(address)
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self._trusted)


def scheme_said(header: str) -> str | None:
    """What the nearest proxy says of X-Forwarded-Proto."""
    said = header.rpartition(",")[2].strip()
    return said if said in ("http", "https") else None


def _trust_nobody(_: str) -> bool:
    return False


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
