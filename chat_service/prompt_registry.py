"""The templates that answer: an operator's, else the folder's, else our own."""

import asyncio
import logging
import re
from pathlib import Path

from chat_service import prompts
from chat_service.english_prompts import ENGLISH
from chat_service.prompt_entities import PromptVersion, Template
from chat_service.store import PromptStore
from servicekit.errors import Conflict, Invalid, NotFound

KINDS = (*prompts.PROMPTS, "completion")
_BUILT_IN = {**prompts.PROMPTS, "completion": prompts.COMPLETION}
_LONGEST = 20_000
_NAME = re.compile(r"[\w-]{1,64}")
_IDEOGRAPH = re.compile("[\u3400-\u9fff]")
_NEEDED = {
    "llm_chat": ("input",),
    "completion": ("input",),
    "knowledge_base_chat": ("context", "question"),
    "search_engine_chat": ("context", "question"),
    "agent_chat": (),
}

logger = logging.getLogger(__name__)


class Prompts:
    """Finds templates; what operators change acts at once here, and soon in every process."""

    def __init__(self, store: PromptStore, folder: Path | None) -> None:
        self._store, self._folder = store, folder
        self._edited: dict[tuple[str, str], PromptVersion] = {}
        self._of_folder: dict[tuple[str, str], str] = {}
        self._seen: object = None
        self._loading = asyncio.Lock()  # else an older state could come after a newer one

    def choose(self, kind: str, name: str, question: str) -> str:
        """The template of that name, else the default; our own in the question's language."""
        found = self.find(kind, name)
        if found is None:
            logger.warning("no %s prompt is called %.50s; the default answers", kind, name)
            found = self.find(kind, prompts.DEFAULT)
        if found is None:
            raise LookupError(kind)
        if found.source == "built-in" and not _IDEOGRAPH.search(question):
            return ENGLISH.get(kind, {}).get(found.name, found.text)
        return found.text

    def find(self, kind: str, name: str) -> Template | None:
        edited = self._edited.get((kind, name))
        if edited and edited.text:
            return Template(kind, name, edited.text, "edited", edited.version)
        if text := self._of_folder.get((kind, name)):
            return Template(kind, name, text, "folder")
        built_in = _BUILT_IN.get(kind, {}).get(name)
        return Template(kind, name, built_in, "built-in") if built_in else None

    def listed(self) -> list[Template]:
        names = {(kind, name) for kind, named in _BUILT_IN.items() for name in named}
        found = [self.find(*key) for key in sorted(names | {*self._edited, *self._of_folder})]
        return [template for template in found if template]

    async def load(self) -> None:
        async with self._loading:
            seen = await self._state()
            edited = {(row.kind, row.name): row for row in await self._store.newest()}
            of_folder = await asyncio.to_thread(_read, self._folder)
            self._edited, self._of_folder, self._seen = edited, of_folder, seen

    async def catch_up(self) -> None:
        """Take over what others changed."""
        if await self._state() != self._seen:
            await self.load()

    async def put(self, by: str, kind: str, name: str, text: str) -> Template:
        """A new version. Raises Invalid, Conflict."""
        check(kind, name, text)
        await self._add(by, kind, name, text)
        return self.get(kind, name)

    async def reset(self, by: str, kind: str, name: str) -> None:
        """What was there before operators is used again; the versions stay. Raises NotFound."""
        if self.get(kind, name).source == "edited":
            await self._add(by, kind, name, "")

    async def restore(self, by: str, kind: str, name: str, version: int) -> Template:
        """An old version as the newest. Raises NotFound, Conflict."""
        old = await self._store.version(kind, name, version)
        if old is None or not old.text:
            raise NotFound(f"{kind}/{name} has no version {version}. 没有这个版本。")
        await self._add(by, kind, name, old.text)
        return self.get(kind, name)

    async def history(
        self, kind: str, name: str, *, start: int, limit: int
    ) -> tuple[list[PromptVersion], int]:
        return await self._store.versions(kind, name, start=start, limit=limit)

    def get(self, kind: str, name: str) -> Template:
        """Raises NotFound."""
        found = self.find(kind, name)
        if found is None:
            raise NotFound(f"There is no prompt {kind}/{name}. 未找到该提示词。")
        return found

    async def _add(self, by: str, kind: str, name: str, text: str) -> None:
        if not await self._store.add(kind, name, text, by):
            raise Conflict("Somebody else is changing it. 他人正在修改，请重试。")
        await self.load()
        logger.info("the prompt %s/%s was changed by %s", kind, name, by)

    async def _state(self) -> object:
        return await self._store.revision(), await asyncio.to_thread(_stamps, self._folder)


def check(kind: str, name: str, text: str) -> None:
    """Raises Invalid."""
    if kind not in KINDS:
        raise Invalid(f"The type must be one of {', '.join(KINDS)}. 类型有误。")
    if not _NAME.fullmatch(name):
        raise Invalid("The name must be letters, digits, _ and -, at most 64. 名称有误。")
    if not text.strip() or len(text) > _LONGEST or "\x00" in text:
        raise Invalid(f"The text must have 1 to {_LONGEST} characters. 内容长度有误。")
    needed = [place for place in _NEEDED[kind] if name != "Empty" or place != "context"]
    if missing := [place for place in needed if place not in prompts.places(text)]:
        wanted = ", ".join(f"{{{{ {place} }}}}" for place in missing)
        raise Invalid(f"The text needs {wanted}. 模板缺少占位符 {wanted}。")


def _files(folder: Path | None) -> list[Path]:
    return sorted(folder.glob("*/*.txt")) if folder else []


def _stamps(folder: Path | None) -> tuple[tuple[str, int], ...]:
    return tuple((str(path), _stamp(path)) for path in _files(folder))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # just removed, or a link to nowhere: reading it says so
        return 0


def _read(folder: Path | None) -> dict[tuple[str, str], str]:
    """TYPE/NAME.txt; what is not usable is left out, with a warning."""
    found = {}
    for path in _files(folder):
        kind, name = path.parent.name, path.stem
        try:
            text = path.read_text("utf-8-sig").strip()
            check(kind, name, text)
        except (Invalid, OSError, UnicodeDecodeError) as error:
            logger.warning("the prompt %s is not used: %s", path, error)
        else:
            found[kind, name] = text
    return found
