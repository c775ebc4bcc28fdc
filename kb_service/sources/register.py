"""The sources of knowledge bases, as those see them who may write these."""

from dataclasses import replace
from typing import Any

from kb_service.entities import KnowledgeBase, Owner
from kb_service.errors import NoSuchSource, SourceRefused
from kb_service.source_entities import NewSource, PageState, Source, SourceKind, SourceOptions
from kb_service.sources.faults import FetchFault, Forbidden
from kb_service.sources.fetching import parsed
from kb_service.sources.guard import Guard, port_of
from kb_service.sources.runner import Runner
from kb_service.store import PagesPage, PageStore, SourceStore

_SOURCES_MAX = 200


class Register:
    def __init__(
        self, sources: SourceStore, pages: PageStore, guard: Guard, runner: Runner
    ) -> None:
        self._sources, self._pages, self._guard, self._runner = sources, pages, guard, runner

    async def listed(self, kb: KnowledgeBase) -> list[Source]:
        return await self._sources.listed(kb.id)

    async def find(self, kb: KnowledgeBase, source_id: int) -> Source:
        """Raises NoSuchSource."""
        source = await self._sources.find(kb.id, source_id)
        if source is None:
            raise NoSuchSource
        return source

    async def add(
        self, kb: KnowledgeBase, kind: SourceKind, url: str, options: SourceOptions, owner: Owner
    ) -> Source:
        """It runs at once. Raises SourceRefused, SourceThere."""
        if len(await self._sources.listed(kb.id)) >= _SOURCES_MAX:
            raise SourceRefused(
                f"A knowledge base has at most {_SOURCES_MAX} sources. 知识库的来源过多。"
            )
        new = NewSource(kb.id, kind, await self._checked(url), options, owner)
        source = await self._sources.add(new)
        self._runner.call()
        return source

    async def change(self, kb: KnowledgeBase, source_id: int, changes: dict[str, Any]) -> Source:
        """Options by their names. Raises NoSuchSource."""
        source = await self.find(kb, source_id)
        options = replace(source.options, **changes)
        has_new_interval = options.interval_hours != source.options.interval_hours
        await self._sources.change(source.id, options, reschedule=has_new_interval)
        return await self.find(kb, source_id)

    async def call(self, kb: KnowledgeBase, source_id: int) -> Source:
        """Have it run now; one that runs already goes on. Raises NoSuchSource."""
        source = await self.find(kb, source_id)
        await self._sources.call(source.id)
        self._runner.call()
        return await self.find(kb, source_id)

    async def remove(self, kb: KnowledgeBase, source_id: int, *, with_files: bool) -> None:
        """With its files it is gone a little later, once they are. Raises NoSuchSource."""
        source = await self.find(kb, source_id)
        if with_files:
            await self._sources.start_removing(source.id)
            self._runner.call()
        else:
            await self._sources.remove(source.id)

    async def pages(
        self,
        kb: KnowledgeBase,
        source_id: int,
        state: PageState | None,
        *,
        page: int,
        page_size: int,
    ) -> PagesPage:
        """Raises NoSuchSource."""
        source = await self.find(kb, source_id)
        start = (page - 1) * page_size
        return await self._pages.some(source.id, state, start=start, limit=page_size)

    async def _checked(self, text: str) -> str:
        """The URL as it will be fetched: told now, what could only fail later."""
        try:
            url = parsed(text)
            self._guard.check_url(url)
            await self._guard.addresses(url.host, port_of(url))
        except Forbidden as fault:
            raise SourceRefused(str(fault)) from None
        except FetchFault:
            return str(url)  # its site may be away today; each run tells what it met
        return str(url)
