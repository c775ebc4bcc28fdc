"""The models as operators manage them: what they set acts at once, here and in every process."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from chat_service.model_entities import CustomModel, Operation, StoredModel
from chat_service.sealing import MasterKey
from chat_service.store import ModelStore
from chat_service.vendors import OFFLINE, PRESETS, Vendor, Vendors
from servicekit.errors import Conflict, Invalid, NotFound

_ENDPOINT = ("preset", "base_url", "model", "api_key")

logger = logging.getLogger(__name__)


class ModelRegistry:
    """What operators add and change; what config.ini says of a model stays as it is."""

    def __init__(self, store: ModelStore, vendors: Vendors, master_key: MasterKey) -> None:
        self._store, self._vendors, self._master_key = store, vendors, master_key
        self._rows: dict[str, StoredModel] = {}
        self._seen = -1
        self._one_change = asyncio.Lock()

    async def load(self) -> None:
        """Take over what is stored."""
        registered = await self._store.load()
        self._vendors.register(registered, self._open)
        self._seen = registered.revision
        self._rows = {row.name: row for row in registered.models}

    async def catch_up(self) -> None:
        """Take over what other processes changed."""
        if await self._store.revision() != self._seen:
            await self.load()

    def listed(self) -> list[Vendor]:
        """All that may be managed: those that are configured, added or usable, by name."""
        known = self._vendors.known.values()
        return sorted((v for v in known if self._is_managed(v.name)), key=lambda v: v.name)

    def find(self, name: str) -> Vendor:
        """Raises NotFound."""
        if not self._is_managed(name):
            raise NotFound(f"No model is called {name}. 未找到该模型。")
        return self._vendors.known[name]

    async def add(self, by: str, name: str, model: CustomModel, *, is_default: bool) -> Vendor:
        """Raises Conflict when the name is taken, Invalid for fallbacks that nobody knows."""
        async with self._one_change:
            await self.load()
            if self._is_managed(name):
                raise Conflict(f"{name} is taken. 名称已存在。")
            row = self._row(name, model)
            self._check_fallbacks(row)
            await self._keep(row)
            return await self._done(by, "added", name, is_default=is_default or None)

    async def change(self, by: str, name: str, given: Mapping[str, Any]) -> Vendor:
        """What is given is changed, the rest stays. Raises NotFound and Invalid."""
        async with self._one_change:
            await self.load()
            vendor = self.find(name)
            endpoint = {key: given[key] for key in _ENDPOINT if key in given}
            operation = {key: given[key] for key in Operation.model_fields if key in given}
            row = self._rows.get(name) or StoredModel(name)
            row = replace(row, operation=_merged(vendor.operation, operation))
            if name == OFFLINE and operation:
                raise Invalid("offline is always there as it is. 离线模式不可修改。")
            if endpoint:
                row = self._row(name, self._again(row, endpoint))
            if endpoint or operation:
                self._check_fallbacks(row)
                await self._keep(row)
            return await self._done(by, "changed", name, is_default=given.get("is_default"))

    async def remove(self, by: str, name: str) -> None:
        """Raises NotFound, and Conflict for models of config.ini."""
        async with self._one_change:
            await self.load()
            self.find(name)
            if self._vendors.is_configured(name):
                raise Conflict(
                    f"{name} is set in config.ini; disable it instead."
                    " 该模型在 config.ini 中配置，不能删除，可以停用。"
                )
            await self._store.remove(name)
            if self._vendors.chosen == name:
                await self._store.set_default("")
            await self.load()
            logger.info("model %s was removed by %s", name, by)

    async def _keep(self, row: StoredModel) -> None:
        if not await self._store.change(row) and not await self._store.add(row):
            raise Conflict(f"{row.name} is being added by somebody else. 名称已存在。")

    async def _done(self, by: str, how: str, name: str, *, is_default: bool | None) -> Vendor:
        if is_default:
            await self._store.set_default(name)
        elif is_default is False and self._vendors.chosen == name:
            await self._store.set_default("")
        await self.load()
        logger.info("model %s was %s by %s", name, how, by)
        return self.find(name)

    def _is_managed(self, name: str) -> bool:
        row = self._rows.get(name)
        return self._vendors.is_configured(name) or (row is not None and row.model is not None)

    def _row(self, name: str, model: CustomModel) -> StoredModel:
        key = model.api_key.get_secret_value()
        like = PRESETS.get(model.preset, PRESETS["custom-api"])
        return StoredModel(
            name,
            model.preset,
            model.base_url or like.base_url,
            model.model or like.model,
            self._master_key.seal(key, name=name) if key else None,
            Operation(**{field: getattr(model, field) for field in Operation.model_fields}),
        )

    def _again(self, row: StoredModel, endpoint: Mapping[str, Any]) -> CustomModel:
        """A row's model with another endpoint. It keeps its key, but not for another host."""
        if row.model is None:
            raise Invalid(
                f"Address, model and key of {row.name} are set in config.ini."
                " 该模型的地址、模型名和密钥只能在 config.ini 中修改。"
            )
        kept: dict[str, Any] = {"preset": row.preset, "base_url": row.base_url, "model": row.model}
        if "api_key" not in endpoint:
            kept["api_key"] = self._kept_key(row)
        try:
            model = CustomModel(**row.operation.model_dump() | kept | dict(endpoint))
        except ValidationError as error:
            raise _invalid(error) from None
        if row.sealed_key and "api_key" not in endpoint and _host(model) != _host(row):
            raise Invalid("Another host needs the key again. 更换主机时须重新填写密钥。")
        return model

    def _kept_key(self, row: StoredModel) -> str:
        try:
            return self._open(row)
        except ValueError:
            raise Invalid(
                "Enter the key again; it cannot be opened. 密钥无法解密，请重新填写。"
            ) from None

    def _open(self, row: StoredModel) -> str:
        return self._master_key.open(row.sealed_key, name=row.name) if row.sealed_key else ""

    def _check_fallbacks(self, row: StoredModel) -> None:
        names = set(row.operation.fallbacks)
        if row.name in names or OFFLINE in names:
            raise Invalid(
                "A model cannot fall back to itself or to offline. 备用模型不能是自身或离线模式。"
            )
        if unknown := {name for name in names if not self._is_managed(name)}:
            raise Invalid(f"No model is called {', '.join(sorted(unknown))}. 备用模型不存在。")


def _merged(operation: Operation, given: Mapping[str, Any]) -> Operation:
    try:
        return Operation(**operation.model_dump() | dict(given))
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Invalid:
    return Invalid("; ".join(str(item["msg"]) for item in error.errors()))


def _host(endpoint: CustomModel | StoredModel) -> str:
    return urlsplit(endpoint.base_url or "").netloc
