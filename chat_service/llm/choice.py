"""Which model answers: the vendors' models, each made when first asked for."""

import time
from dataclasses import dataclass

from chat_service.errors import ModelError
from chat_service.history import USER, Message
from chat_service.llm import ChatModel, Reply, Sampling, complete
from chat_service.llm.chain import ChainedModel, Gate, GatedModel
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel, Session
from chat_service.llm.metered import MeteredModel
from chat_service.llm.screened import ScreenedModel
from chat_service.metering import Meter
from chat_service.screening import Screen
from chat_service.vendors import Vendor, Vendors

_CONDENSE_WITHIN = 15.0
_TRIAL_WITHIN = 30.0
_TRIAL = [Message(USER, "Reply with one word: OK")]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a real call went; `error` is what a user would read, `detail` what the vendor said."""

    ok: bool
    seconds: float
    answer: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str = ""
    detail: str = ""


class _Line:
    """A vendor as it is set now: its models share one circuit and one gate."""

    def __init__(self, vendor: Vendor, lean: LeanModel, patience: float) -> None:
        self.vendor, self.lean = vendor, lean
        self.circuit = Circuit()
        limit = vendor.operation.max_concurrency
        self._gate = Gate(limit, patience=patience) if limit else None
        self.langchain: LangChainModel | None = None

    def guarded(self, model: ChatModel, deadlines: Deadlines) -> ChatModel:
        guarded = GuardedModel(model, deadlines, self.circuit)
        return GatedModel(guarded, self._gate) if self._gate else guarded


class VendorModels:
    """The models of the vendors, with their fallbacks."""

    def __init__(
        self,
        vendors: Vendors,
        session: Session,
        *,
        connect_timeout: float,
        deadlines: Deadlines,
        meter: Meter,
        screen: Screen,
    ) -> None:
        self._meter, self.screen = meter, screen
        self.choose, self.find, self.listed = vendors.choose, vendors.find, vendors.listed
        self._vendors, self._session = vendors, session
        self._connect_timeout, self._deadlines = connect_timeout, deadlines
        self._lines: dict[str, _Line] = {}
        self._opened: list[LangChainModel] = []

    def answering(self, vendor: Vendor) -> ChatModel:
        """The vendor's model, and those that are asked when it does not begin to answer."""
        asked = [vendor, *self._vendors.fallbacks_of(vendor)]
        lines = [self._line(each) for each in asked]
        models = [line.guarded(line.lean, self._deadlines) for line in lines]
        model = models[0] if len(models) == 1 else ChainedModel(models)
        return ScreenedModel(MeteredModel(model, vendor.name, self._meter), self.screen)

    def condensing(self, vendor: Vendor) -> ChatModel:
        line = self._line(vendor)
        if line.langchain is None:
            line.langchain = LangChainModel(vendor, connect_timeout=self._connect_timeout)
            self._opened.append(line.langchain)  # until the end: answers may still need it
        within = Deadlines(_CONDENSE_WITHIN, _CONDENSE_WITHIN, _CONDENSE_WITHIN)
        return MeteredModel(line.guarded(line.langchain, within), vendor.name, self._meter)

    async def try_out(self, vendor: Vendor) -> Trial:
        """Ask it something tiny, once, whatever its circuit says."""
        within = Deadlines(_TRIAL_WITHIN, _TRIAL_WITHIN, _TRIAL_WITHIN)
        model = GuardedModel(self._lean(vendor), within, Circuit(budget=0))
        reply, begun = Reply(), time.perf_counter()
        try:
            answer = await complete(model, _TRIAL, Sampling(temperature=0), reply)
        except ModelError as error:
            seconds = time.perf_counter() - begun
            return Trial(False, seconds, error=str(error), detail=error.detail)
        seconds = time.perf_counter() - begun
        return Trial(True, seconds, answer, reply.prompt_tokens, reply.completion_tokens)

    async def close(self) -> None:
        for model in self._opened:
            await model.close()

    def _line(self, vendor: Vendor) -> _Line:
        """Made anew when an operator changed the vendor: with a new key it may be well again."""
        line = self._lines.get(vendor.name)
        if line is None or line.vendor != vendor:
            line = _Line(vendor, self._lean(vendor), self._deadlines.first)
            self._lines[vendor.name] = line
        return line

    def _lean(self, vendor: Vendor) -> LeanModel:
        return LeanModel(self._session, vendor, connect_timeout=self._connect_timeout)
