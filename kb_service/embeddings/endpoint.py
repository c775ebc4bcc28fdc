"""An endpoint that speaks OpenAI's `/v1/embeddings`, whatever its limits are.

Limits differ by vendor and are learned: a batch that is refused as too large is sent in halves,
and none as large is sent again; a text that is refused alone is cut in half.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from kb_service.embeddings import Embedded, EmbedderKind, Prefixes, failure
from servicekit.http import outside_client

_BATCH, _BATCH_CHARACTERS = 64, 24_000
_SHORTEST = 64  # characters: a text as short as this was not refused for its length
_PARALLEL = 4
_ATTEMPTS, _QUERY_ATTEMPTS = 5, 2
_PAUSE_MAX = 60.0
_QUERY_SECONDS = 5.0
_NO_PREFIXES = Prefixes()
_RETRIED = {408, 429, 500, 502, 503, 504}
_REFUSED = {400, 413, 422}
_TOO_LARGE = re.compile(
    r"batch|too (?:large|long|many|big)|length|max|exceed|limit|token|larger than|less than"
    r"|超过|超出|超限|过长|过大|最大|最多|上限|不能大于|不得大于"
)

logger = logging.getLogger(__name__)


class _TooLarge(Exception):
    """The endpoint does not take so much at once."""


class OpenAIEmbedder:
    """`size` is learned from the first answer; `pause` is the first wait before another try."""

    kind: EmbedderKind = "endpoint"

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        prefixes: Prefixes = _NO_PREFIXES,
        pause: float = 1.0,
    ) -> None:
        self.model = model
        self.fingerprint = f"{model}\n{prefixes.passage}"
        self.size: int | None = None
        self._prefixes = prefixes
        self._client, self._pause = outside_client(), pause
        self._url = base_url.rstrip("/") + "/embeddings"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._batch = _BATCH
        self._not_before = 0.0

    async def embed(self, texts: Sequence[str]) -> Embedded:
        batches = _in_batches([self._prefixes.passage + text for text in texts], self._batch)
        tasks = [asyncio.create_task(self._in_turn(batch)) for batch in batches]
        try:
            return _joined(await asyncio.gather(*tasks))
        finally:
            for task in tasks:  # one has failed, or nobody waits any more
                task.cancel()

    async def embed_query(self, text: str) -> list[float]:
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                done = await self._halving([self._prefixes.query + text], is_patient=False)
        except TimeoutError:
            raise failure("no answer in time") from None
        return done.vectors[0]

    @property
    def is_ready(self) -> bool:
        return time.monotonic() >= self._not_before

    async def warm(self) -> None:
        """Nothing: an endpoint costs money."""

    async def close(self) -> None:
        await self._client.aclose()

    async def _in_turn(self, texts: list[str]) -> Embedded:
        async with self._slots:
            return await self._halving(texts, is_patient=True)

    async def _halving(self, texts: list[str], *, is_patient: bool) -> Embedded:
        try:
            return self._vectors(await self._ask(texts, is_patient=is_patient), len(texts))
        except _TooLarge as error:
            if len(texts) == 1:
                if len(texts[0]) <= _SHORTEST:
                    raise failure(str(error)) from None
                done = await self._halving([texts[0][: len(texts[0]) // 2]], is_patient=is_patient)
                return Embedded(done.vectors, frozenset({0}), done.tokens)
        middle = len(texts) // 2
        halves = (texts[:middle], texts[middle:])
        done = _joined([await self._halving(half, is_patient=is_patient) for half in halves])
        if not done.cut:  # so it was not a single text that was too long
            self._batch = min(self._batch, middle)
        return done

    async def _ask(self, texts: list[str], *, is_patient: bool) -> httpx.Response:
        """Who is not patient is waited for by somebody: it is asked at once, and not often."""
        body, why, pause = orjson.dumps({"model": self.model, "input": texts}), "", 0.0
        for attempt in range(_ATTEMPTS if is_patient else _QUERY_ATTEMPTS):
            limited = self._not_before - time.monotonic() if is_patient else 0.0
            await asyncio.sleep(max(pause, limited))
            try:
                answer = await self._client.post(self._url, content=body, headers=self._headers)
            except httpx.TransportError as error:
                why, pause = type(error).__name__, self._pause * 2**attempt
                continue
            if answer.is_success:
                return answer
            why = f"HTTP {answer.status_code}"
            logger.warning("embeddings: %s: %.500s", why, answer.text)
            if answer.status_code in _REFUSED and _is_about_size(answer):
                raise _TooLarge(why)
            if answer.status_code not in _RETRIED:
                break
            pause = self._pause_after(answer, attempt)
        raise failure(why)

    def _pause_after(self, answer: httpx.Response, attempt: int) -> float:
        """A limit of rates holds for all requests, whoever met it."""
        seconds = min(_retry_after(answer) or self._pause * 2**attempt, _PAUSE_MAX)
        if answer.status_code == 429:
            self._not_before = max(self._not_before, time.monotonic() + seconds)
        return seconds

    def _vectors(self, answer: httpx.Response, number: int) -> Embedded:
        try:
            body: dict[str, Any] = orjson.loads(answer.content)
            rows = sorted(body["data"], key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
            tokens = int((body.get("usage") or {}).get("prompt_tokens") or 0)
        except orjson.JSONDecodeError:
            raise failure("an answer that is not JSON") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise failure("an answer of another shape") from None
        if len(vectors) != number:
            raise failure(f"{len(vectors)} vectors for {number} texts")
        for vector in vectors:
            self.size = self.size or len(vector)
            if not vector or len(vector) != self.size:
                raise failure(f"a vector of length {len(vector)}, expected {self.size}")
        return Embedded(vectors, tokens=tokens)


def _in_batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch, characters = list[str](), 0
    for text in texts:
        if batch and (len(batch) >= most or characters + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _joined(parts: Sequence[Embedded]) -> Embedded:
    vectors, cut = list[list[float]](), set[int]()
    for part in parts:
        cut |= {len(vectors) + position for position in part.cut}
        vectors += part.vectors
    return Embedded(vectors, frozenset(cut), sum(part.tokens for part in parts))


def _is_about_size(answer: httpx.Response) -> bool:
    return answer.status_code == 413 or _TOO_LARGE.search(answer.text.lower()) is not None


def _retry_after(answer: httpx.Response) -> float:
    """In seconds, 0 when it does not say."""
    said = answer.headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(said))
    with suppress(ValueError, TypeError):
        until = parsedate_to_datetime(said)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return 0.0
