"""Which model answers: the vendors' models, each made when first asked for."""

import aiohttp

from chat_service.llm import ChatModel
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.vendors import Vendor, Vendors

_CONDENSE_WITHIN = 15.0


class VendorModels:
    """The models of the configured vendors; both adapters of a vendor share its circuit."""

    def __init__(
        self,
        vendors: Vendors,
        session: aiohttp.ClientSession,  # noqa: TID251 - its type only, the kit makes it
        *,
        connect_timeout: float,
        deadlines: Deadlines,
    ) -> None:
        self.choose = vendors.choose
        self._session, self._connect_timeout = session, connect_timeout
        self._deadlines = deadlines
        self._circuits: dict[str, Circuit] = {}
        self._answering: dict[str, ChatModel] = {}
        self._condensing: dict[str, ChatModel] = {}
        self._opened: list[LangChainModel] = []

    def answering(self, vendor: Vendor) -> ChatModel:
        if vendor.name not in self._answering:
            model = LeanModel(self._session, vendor, connect_timeout=self._connect_timeout)
            self._answering[vendor.name] = self._guarded(model, vendor, self._deadlines)
        return self._answering[vendor.name]

    def condensing(self, vendor: Vendor) -> ChatModel:
        if vendor.name not in self._condensing:
            model = LangChainModel(vendor, connect_timeout=self._connect_timeout)
            self._opened.append(model)
            deadlines = Deadlines(_CONDENSE_WITHIN, _CONDENSE_WITHIN, _CONDENSE_WITHIN)
            self._condensing[vendor.name] = self._guarded(model, vendor, deadlines)
        return self._condensing[vendor.name]

    async def close(self) -> None:
        for model in self._opened:
            await model.close()

    def _guarded(self, model: ChatModel, vendor: Vendor, deadlines: Deadlines) -> ChatModel:
        circuit = self._circuits.setdefault(vendor.name, Circuit())
        return GuardedModel(model, deadlines, circuit)
