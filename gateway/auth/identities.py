"""From a credential to a principal: asked once, kept for a moment, the same question never twice.

Two memories, so that guesses cannot push out people: principals for at most 30 s and never past
their end, refusals for 10 s. What was not good lately is asked about only as often as its address
may, in a lane with a bound, and not at all while auth_service does not look at that address.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import get_args

from cachetools import LRUCache

from gateway.clients import AuthClient, Presentation, Principal, Rejection
from gateway.errors import CredentialRefused
from gateway.limits.lanes import Lanes
from gateway.limits.limiter import Limiter, network_of
from servicekit.errors import ServiceError, TooManyRequests, Unavailable

API_KEY_PREFIX = "c2l-"
_LOOKED_UP = (API_KEY_PREFIX, "c2s-", "c2a-")  # costs auth_service little, so it always looks
_LONGEST_CREDENTIAL = 4096
_KEEP_PRINCIPAL = 30.0
_KEEP_REJECTION = 10.0
_LATELY = 600.0
_WITHOUT_SESSION = ("cookie", "admin_cookie")

_Question = tuple[Presentation, str]


class Identities:
    """Answers of auth_service, remembered; one call for a burst with one new credential."""

    def __init__(
        self,
        client: AuthClient,
        limiter: Limiter,
        lanes: Lanes,
        *,
        principals: int = 10_000,
        rejections: int = 1_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._limiter, self._lanes = client, limiter, lanes
        self._clock = clock
        self._principals: LRUCache[_Question, tuple[Principal, float]] = LRUCache(principals)
        self._rejections: LRUCache[_Question, tuple[Rejection, float]] = LRUCache(rejections)
        self._limited: LRUCache[str, float] = LRUCache(rejections)
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
        return _principal(answer)

    async def exchange(
        self, credential: str, *, presented_as: Presentation, address: str
    ) -> Principal:
        """For a session, and never from memory: some tokens may be used once.

        Raises CredentialRefused, Unavailable or TooManyRequests.
        """
        if len(credential) > _LONGEST_CREDENTIAL:
            raise CredentialRefused("invalid")
        answer = _principal(await self._ask_cold((presented_as, credential), address))
        if answer.session_token is None:  # an API key is for programs
            raise CredentialRefused("invalid")
        return answer

    def forget(self, credential: str) -> None:
        """It was signed out here; other copies notice within 30 s."""
        for presented_as in get_args(Presentation):
            self._principals.pop((presented_as, credential), None)

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
        asked_at = self._clock()
        kept = self._principals.get(question)
        if kept and asked_at < kept[1] + _LATELY:
            answer = await self._introspect(question, address)
        else:
            answer = await self._ask_cold(question, address)
        self._keep(question, answer, asked_at)
        return answer

    async def _ask_cold(self, question: _Question, address: str) -> Principal | Rejection:
        """Raises TooManyRequests when the address, or everybody, has asked too often."""
        limited = self._limited.get(network_of(address), 0) - self._clock()
        if limited > 0 and not question[1].startswith(_LOOKED_UP):
            raise _too_many(math.ceil(limited))
        await self._limiter.check("login", None, address)
        async with self._lanes.of(address).place():
            answer = await self._introspect(question, address)
        if isinstance(answer, Rejection) and answer.reason == "limited":
            self._limited[network_of(address)] = self._clock() + answer.retry_after
        return answer

    async def _introspect(self, question: _Question, address: str) -> Principal | Rejection:
        presented_as, credential = question
        try:
            answer = await self._client.introspect(
                credential,
                presented_as=presented_as,
                address=address,
                want_session=presented_as not in _WITHOUT_SESSION
                and not credential.startswith(API_KEY_PREFIX),
            )
        except TooManyRequests:
            raise
        except ServiceError as error:  # whatever is wrong there, it is not the user's credential
            raise Unavailable(str(error), retry_after=error.retry_after or 2) from error
        if isinstance(answer, Principal):
            self._lanes.remember(address)
        return answer

    def _keep(self, question: _Question, answer: Principal | Rejection, asked_at: float) -> None:
        if isinstance(answer, Principal):
            self._rejections.pop(question, None)
            self._principals[question] = answer, asked_at
        elif answer.reason != "limited":  # which says nothing about the credential
            self._principals.pop(question, None)
            self._rejections[question] = answer, asked_at

    def _is_fresh(self, principal: Principal, asked_at: float, max_age: float) -> bool:
        return self._clock() < min(asked_at + max_age, principal.expires_at)


def _principal(answer: Principal | Rejection) -> Principal:
    if isinstance(answer, Principal):
        return answer
    if answer.reason == "limited":
        raise _too_many(answer.retry_after)
    raise CredentialRefused(answer.reason)


def _too_many(seconds: int) -> TooManyRequests:
    text = "Too many failed tries, please wait. 失败次数过多，请稍后再试。"
    return TooManyRequests(text, retry_after=seconds)
