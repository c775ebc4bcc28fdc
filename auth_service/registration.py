"""Host apps and their keys, as operators manage them."""

import re
from dataclasses import dataclass
from functools import partial

from anyio.to_thread import run_sync

from auth_service.errors import NoSuchClient
from auth_service.keys import DEFAULT_BITS, MasterKey, make_key_pair
from auth_service.store.credentials import Store, StoredClient
from servicekit.errors import Invalid

_IDS = range(2**31)  # what the column holds; beyond it a driver fails instead of finding nothing
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")


@dataclass(frozen=True, slots=True)
class Registered:
    """What a host app needs to know."""

    client_id: int
    public_key: str


class Registration:
    """Adds, shows and switches clients."""

    def __init__(self, store: Store, master_key: MasterKey) -> None:
        self._store, self._master_key = store, master_key

    async def add(
        self, name: str, *, description: str = "", bits: int = DEFAULT_BITS
    ) -> Registered:
        """Raises Invalid."""
        name, description = name.strip(), description.strip()
        if not 1 <= len(name) <= 50 or not _TEXT.fullmatch(name):
            raise Invalid("A name has 1 to 50 printable characters. 名称须为 1 至 50 个可见字符。")
        if len(description) > 200 or not _TEXT.fullmatch(description):
            raise Invalid(
                "A description has at most 200 printable characters. 描述最多 200 个可见字符。"
            )
        client_id = await self._store.add_client(name=name, kind="host", description=description)
        return Registered(client_id, await self._make_keys(client_id, bits))

    async def clients(self) -> list[StoredClient]:
        return await self._store.clients()

    async def rotate_key(self, client_id: int, *, bits: int = DEFAULT_BITS) -> Registered:
        """A new key; tokens made with the one before are refused. Raises NoSuchClient."""
        await self._find(client_id)
        return Registered(client_id, await self._make_keys(client_id, bits))

    async def enable(self, client_id: int, *, enable: bool) -> StoredClient:
        """Raises NoSuchClient."""
        client = await self._find(client_id)
        await self._store.enable_client(client_id, enable=enable)
        return client

    async def check_keys(self) -> None:
        """Every sealed key opens. Raises MasterKeyMismatch."""
        for client in await self._store.clients():
            if client.private_key:
                self._master_key.open(client.private_key, client_id=client.id)

    async def _make_keys(self, client_id: int, bits: int) -> str:
        public_key, private_key = await run_sync(partial(make_key_pair, bits))
        sealed = self._master_key.seal(private_key, client_id=client_id)
        await self._store.set_client_key(client_id, private_key=sealed)
        return public_key

    async def _find(self, client_id: int) -> StoredClient:
        client = await self._store.client(client_id) if client_id in _IDS else None
        if client is None:
            raise NoSuchClient(client_id)
        return client
