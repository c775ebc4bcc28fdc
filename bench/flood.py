"""Bogus tokens, each a different one, at a steady rate, through a proxy that is trusted.

Run: python -m bench.flood URL CLIENT_ID one|many RATE SECONDS; prints what came back as JSON.
Most are shaped like v1 tokens of a client that exists, so that only a decrypt tells them apart.
"""

import asyncio
import json
import os
import random
import secrets
import sys
import time
from base64 import b64encode
from collections import Counter

from bench.connection import Connection
from bench.figures import Times

_CONNECTIONS = 96
_KEY_BYTES = 384
_PATH = "/knowledge_base/list_knowledge_bases"


def bogus_token(client_id: str, number: int) -> str:
    match number % 10:
        case 0:
            return f"c2s-{secrets.token_urlsafe(32)}"
        case 1:
            return f"c2l-{secrets.token_urlsafe(32)}"
        case _:
            # Less than any modulus of that length: it is decrypted in full before it is refused.
            sealed = b64encode(b"\0" + os.urandom(_KEY_BYTES - 1)).decode()
            return b64encode(f"{client_id}|{sealed}".encode()).decode()


def address(mode: str, number: int) -> str:
    if mode == "one":
        return "203.0.113.7"
    return f"198.18.{number // 250 % 250}.{1 + number % 250}"


async def flood(url: str, client_id: str, mode: str, rate: int, seconds: int) -> dict[str, object]:
    statuses: Counter[str] = Counter()
    times, started = Times(), time.monotonic()

    async def attack(first: int) -> None:
        async with Connection(url) as connection:
            for number in range(first, rate * seconds, _CONNECTIONS):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if time.monotonic() > started + seconds + 1:
                    return
                headers = {
                    "Api-Token": bogus_token(client_id, number),
                    "X-Forwarded-For": address(mode, number),
                }
                try:
                    answer = await connection.ask("GET", _PATH, headers)
                except (OSError, asyncio.IncompleteReadError):
                    statuses["no answer"] += 1
                else:
                    statuses[str(answer.status)] += 1
                    times.note(answer.milliseconds)

    await asyncio.gather(*map(attack, random.sample(range(_CONNECTIONS), _CONNECTIONS)))
    took = time.monotonic() - started
    sent = sum(statuses.values())
    return {"rate": sent / took, "statuses": statuses, "p50": times.p50, "p95": times.p95}


if __name__ == "__main__":
    url, client_id, mode, rate, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(flood(url, client_id, mode, int(rate), int(seconds)))))
