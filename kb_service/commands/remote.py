"""The running service as commands see it: through the gateway, patiently."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

_TRIES = 8
_WAIT_MAX = 60.0
_TIMEOUT = httpx.Timeout(120, connect=5)


class CommandFault(Exception):
    """Why a command cannot go on, as the sentence for its user."""


class TooLarge(Exception):
    """A request that the service takes no part of."""


class Remote:
    """One knowledge base. Busy servers and lost connections are tried again for a while."""

    def __init__(
        self, url: str, key: str, kb_name: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._kb_name, self._sleep = kb_name, sleep
        self.path = f"/admin/knowledge-bases/{quote(kb_name, safe='')}"
        try:
            self._client = httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT
            )
        except httpx.InvalidURL as error:
            raise CommandFault(f"网关地址无效。The URL is not valid: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def find_knowledge_base(self, *, create: bool) -> None:
        """Raises CommandFault when it is not there and shall not be made."""
        answer = self.ask("GET", self.path)
        if answer.status_code == 404 and create:
            answer = self.ask("POST", "/admin/knowledge-bases", json={"name": self._kb_name})
        if answer.status_code == 404:
            raise CommandFault(
                f"没有可写的知识库 {self._kb_name}，可用 import --create 新建。"
                f"There is no knowledge base {self._kb_name} to write to; import --create makes it."
            )
        checked(answer)

    def known(self, files: Sequence[Mapping[str, Any]]) -> set[str]:
        """Names of the files that are there already with the same content."""
        answer = self.ask("POST", f"{self.path}/files/known", json={"files": files})
        return set(checked(answer)["known"])

    def upload(
        self, files: Sequence[tuple[str, BinaryIO]], tags: Sequence[str]
    ) -> tuple[dict[int, str], dict[str, str]]:
        """Jobs and refusals, by name; without tags, files keep theirs. Raises TooLarge."""
        answer = self.ask(
            "POST",
            f"{self.path}/files",
            rewind=[file for _, file in files],
            data={"override": "true", "tags": tags},
            files=[("files", file) for file in files],
        )
        if answer.status_code == 413:
            raise TooLarge(_detail(answer))
        body = checked(answer)
        return {job["id"]: job["file_name"] for job in body["jobs"]}, body["refused"]

    def job(self, job_id: int) -> dict[str, Any] | None:
        """None when it is gone, with its file or knowledge base."""
        answer = self.ask("GET", f"/admin/jobs/{job_id}")
        return None if answer.status_code == 404 else checked(answer)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """What the service answers there. Raises CommandFault when it refuses."""
        return checked(self.ask(method, path, **options))

    def ask(
        self, method: str, path: str, *, rewind: Sequence[BinaryIO] = (), **options: Any
    ) -> httpx.Response:
        wait = 1.0
        for left in reversed(range(_TRIES)):
            for file in rewind:
                file.seek(0)
            try:
                answer = self._client.request(method, path, **options)
            except httpx.TransportError as error:
                if not left:
                    raise CommandFault(
                        f"无法连接服务。The service cannot be reached: {error!r}"
                    ) from None
                self._sleep(wait)
            else:
                if answer.status_code not in {429, 502, 503, 504} or not left:
                    return answer
                self._sleep(min(_retry_after(answer) or wait, _WAIT_MAX))
            wait = min(2 * wait, _WAIT_MAX)
        raise AssertionError


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def checked(answer: httpx.Response) -> Any:
    """The JSON that it has. Raises CommandFault for a refusal."""
    return accepted(answer).json()


def accepted(answer: httpx.Response) -> httpx.Response:
    """Raises CommandFault for a refusal."""
    if answer.is_success:
        return answer
    raise CommandFault(f"{answer.status_code}: {_detail(answer)}")


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
