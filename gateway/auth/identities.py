"""From a credential to a principal: asked once, kept for a moment, the same question never twice.

Two memories, so that guesses cannot push out people: principals for at most 30 s and never past
their end, refusals for 10 s.
"""

import asyncio
import time
from collections.abc import Callable

from cachetools import LRUCache

from gateway.clients import AuthClient, Presentation, Principal, Rejection
from gateway.errors import CredentialRefused
from servicekit.errors import ServiceError, TooManyRequests, Unavailable

API_KEY_PREFIX = "c2l-"
_LONGEST_CREDENTIAL = 4096
_KEEP_PRINCIPAL = 30.0
_KEEP_REJECTION = 10.0

_Question = tuple[Presentation, str]


class Identities:
    """Answers of auth_service, remembered; one call for a burst with one new credential."""

    def __init__(
        self,
        client: AuthClient,
        *,
        principals: int = 10_000,
        rejections: int = 1_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._clock = client, clock
        self._principals: LRUCache[_Question, tuple[Principal, float]] = LRUCache(principals)
        self._rejections: LRUCache[_Question, tuple[Rejection, float]] = LRUCache(rejections)
        self._asking: dict[_Question, asyncio.Task[Principal | Rejection]] = {}

    def remembered(self, credential: str, presented_as: Presentation) -> Principal | None:
        """The hot path: no await, no call."""
        kept = self._principals.get((presented_as, credential))
        return kept[0] if kept and self._is_fresh(*kept, _KEEP_PRINCIPAL) else None

    async def identify(
        self,
        credential: str,
        *,
        presented_as: Presentation,
        address: str,
        max_age: float = _KEEP_PRINCIPAL,
    ) -> Principal:
        """Raises CredentialRefused, Unavailable or TooManyRequests."""
        question = presented_as, credential
        answer = self._remember(question, max_age)
        if answer is None:
            answer = await self._ask_once(question, address)
        if isinstance(answer, Rejection):
            raise CredentialRefused(answer.reason)
        return answer

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _remember(self, question: _Question, max_age: float) -> Principal | Rejection | None:
        if len(question[1]) > _LONGEST_CREDENTIAL:
            return Rejection("invalid")
        kept = self._principals.get(question)
        if kept and self._is_fresh(*kept, max_age):
            return kept[0]
        rejected = self._rejections.get(question)
        return rejected[0] if rejected and rejected[1] + _KEEP_REJECTION > self._clock() else None

    async def _ask_once(self, question: _Question, address: str) -> Principal | Rejection:
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.create_task(self._ask(question, address))
            task.add_done_callback(lambda done: self._asked(question, done))
        # Shielded: one waiter that leaves must not take the answer from the others.
        return await asyncio.shield(task)

    def _asked(self, question: _Question, task: asyncio.Task[Principal | Rejection]) -> None:
        del self._asking[question]
        if not task.cancelled():
            task.exception()  # marks it as seen, also when every waiter has left

    async def _ask(self, question: _Question, address: str) -> Principal | Rejection:
        presented_as, credential = question
        asked_at = self._clock()
        try:
            answer = await self._client.introspect(
                credential,
                presented_as=presented_as,
                address=address,
                want_session=presented_as != "cookie" and not credential.startswith(API_KEY_PREFIX),
            )
        except TooManyRequests:
            raise
        except ServiceError as error:  # whatever is wrong there, it is not the user's credential
            raise Unavailable(str(error), retry_after=error.retry_after or 2) from error
        self._keep(question, answer, asked_at)
        return answer

    def _keep(self, question: _Question, answer: Principal | Rejection, asked_at: float) -> None:
        if isinstance(answer, Rejection):
            self._principals.pop(question, None)
            self._rejections[question] = answer, asked_at
        else:
            self._rejections.pop(question, None)
            self._principals[question] = answer, asked_at

    def _is_fresh(self, principal: Principal, asked_at: float, max_age: float) -> bool:
        return self._clock() < min(asked_at + max_age, principal.expires_at)
