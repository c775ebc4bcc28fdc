"""One run of a source: its pages are fetched, and what has changed goes in as files, as jobs."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from anyio import to_thread

from kb_service.entities import ChunkOptions, Job, KnowledgeBase
from kb_service.errors import NoSuchJob
from kb_service.ingest import Ingest, Upload, Wishes
from kb_service.jobs.queue import Queue
from kb_service.source_entities import Page, PageState, Reason, RunResult, Source
from kb_service.sources import faults
from kb_service.sources.faults import FetchFault, Forbidden, Gone
from kb_service.sources.fetching import Fetcher, Validators
from kb_service.sources.guard import URL_MAX
from kb_service.sources.pages import PageFile, file_name, page_file
from kb_service.sources.sitemap import Listed, read_sitemap, same_site
from kb_service.store import FileStore, PageStore
from servicekit.errors import ServiceError

_REASONS_MAX = 100
_FAULTS_IN_A_ROW = 10
OpenFetcher = Callable[[], AbstractAsyncContextManager[Fetcher]]


@dataclass(slots=True)
class Tally:
    """What a run has come to so far."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[Reason] = field(default_factory=list)
    fault: str = ""

    def explain(self, url: str, why: object) -> None:
        if len(self.reasons) < _REASONS_MAX:
            self.reasons.append(Reason(url, str(why)))

    def result(self) -> RunResult:
        return RunResult(**self.counts, fault=self.fault, reasons=list(self.reasons))


@dataclass(frozen=True, slots=True)
class _Visit:
    """Of one run: what it is about, and what was known before."""

    source: Source
    kb: KnowledgeBase
    fetcher: Fetcher
    tally: Tally
    known: dict[str, Page]


class Crawl:
    """`chunking` is how pages are cut where their knowledge base says nothing else."""

    def __init__(
        self,
        *,
        pages: PageStore,
        files: FileStore,
        queue: Queue,
        ingest: Ingest,
        open_fetcher: OpenFetcher,
        chunking: ChunkOptions,
    ) -> None:
        self._pages, self._files, self._queue = pages, files, queue
        self._ingest, self._open_fetcher, self._chunking = ingest, open_fetcher, chunking

    async def run(self, source: Source, kb: KnowledgeBase, tally: Tally) -> None:
        """What goes wrong with the source itself is in the tally. Raises LeaseLost."""
        known = {page.url: page for page in await self._pages.all(source.id)}
        async with self._open_fetcher() as fetcher:
            visit = _Visit(source, kb, fetcher, tally, known)
            try:
                listed = await self._listed(visit)
                await self._visit_all(visit, listed)
            except FetchFault as fault:
                tally.fault = str(fault)
                return
            if listed.is_whole:
                for url in known.keys() - set(listed.urls):
                    await self._miss(visit, url, faults.not_listed())

    async def remove(self, source: Source, kb: KnowledgeBase, tally: Tally) -> None:
        """Its files. Raises LeaseLost."""
        for page in await self._pages.all(source.id):
            await self._remove(source, kb, page)
            tally.counts["removed"] += 1

    async def _listed(self, visit: _Visit) -> Listed:
        source = visit.source
        if source.kind == "page":
            return Listed([source.url], is_whole=True)
        listed = await read_sitemap(visit.fetcher, source.url, source.options.pages_max)
        readable = [url for url in listed.urls if len(url) <= URL_MAX and url.isprintable()]
        urls = [url for url in readable if same_site(source.url, url)]
        for url in set(listed.urls) - set(urls):
            visit.tally.explain(url[:URL_MAX], faults.other_site())
        return replace(listed, urls=urls)

    async def _visit_all(self, visit: _Visit, listed: Listed) -> None:
        """Raises FetchFault when there is no sense in going on."""
        others = await self._pages.urls_of_others(visit.source)
        in_a_row = 0
        for url in listed.urls:
            visit.tally.counts["pages"] += 1
            try:
                if url in others:
                    raise faults.others_page()
                await self._take(visit, url)
            except Gone as fault:
                await self._miss(visit, url, fault)
            except (FetchFault, ServiceError) as fault:
                await self._fail(visit, url, fault)
                in_a_row += not isinstance(fault, Forbidden)
                if in_a_row >= _FAULTS_IN_A_ROW:
                    raise faults.given_up(fault) from None
                continue
            in_a_row = 0

    async def _take(self, visit: _Visit, url: str) -> None:
        known = visit.known.get(url) or Page(url)
        job = await self._job(visit.source.kb_id, known)
        is_here = await self._is_here(visit.source.kb_id, known, job)
        validators = Validators(known.etag, known.last_modified) if is_here else Validators()
        async with visit.fetcher.fetch(url, validators) as fetched:
            if fetched.body is None:
                await self._keep(visit, known, known, job)
                return
            file = await to_thread.run_sync(page_file, fetched)
            page = replace(
                known,
                address=fetched.url,
                title=file.title,
                etag=fetched.validators.etag,
                last_modified=fetched.validators.last_modified,
                digest=file.digest,
            )
            if is_here and file.digest == known.digest:
                await self._keep(visit, known, page, job)
            else:
                await self._index(visit, known, page, file)

    async def _keep(self, visit: _Visit, known: Page, page: Page, job: Job | None) -> None:
        if job and job.is_over and job.state != "done":
            # What it needs may be there by now, such as a model.
            await self._queue.retry(job)
        seen = replace(page, state="indexed", reason="", missing_runs=0, checked=_now())
        await self._pages.put(visit.source, replace(seen, title=known.title))
        visit.tally.counts["unchanged"] += 1

    async def _index(self, visit: _Visit, known: Page, page: Page, file: PageFile) -> None:
        source, kb = visit.source, visit.kb
        name = await self._name(source.kb_id, known, file)
        # First where it is from, since the job asks for it; that it is indexed, when it is queued.
        pending = replace(page, file_name=name, digest="", etag="", last_modified="")
        await self._pages.put(source, pending)
        wishes = Wishes(kb.chunking or self._chunking, source.owner)
        upload = Upload(name, file.size, file.body)
        accepted = await self._ingest.upload(kb, [upload], {}, wishes, override=True)
        if why := next(iter(accepted.failed.values()), None):
            raise FetchFault(why)
        done = replace(page, file_name=name, job_id=next(iter(accepted.jobs)), checked=_now())
        await self._pages.put(source, replace(done, state="indexed", reason="", missing_runs=0))
        if known.file_name and known.file_name != name:  # it is another kind of file now
            await self._ingest.remove(kb, [known.file_name], delete_content=True)
        visit.tally.counts["changed"] += 1

    async def _name(self, kb_id: int, known: Page, file: PageFile) -> str:
        if known.file_name and known.file_name.endswith(file.extension):
            return known.file_name
        name = file_name(known.url, file.extension)
        if await self._pages.is_free(kb_id, name, known.url):
            return name
        return file_name(known.url, file.extension, is_taken=True)

    async def _is_here(self, kb_id: int, page: Page, job: Job | None) -> bool:
        """Whether what was seen last is indexed, or may still be: somebody may have removed it."""
        if not page.file_name or not page.digest:
            return False
        if job and job.state != "done":
            return not job.is_over or job.content is not None
        file = await self._files.find(kb_id, page.file_name)
        return file is not None and file.listed and file.live_version is not None

    async def _job(self, kb_id: int, page: Page) -> Job | None:
        if page.job_id:
            with suppress(NoSuchJob):  # it was over long ago
                return await self._queue.find(page.job_id, {kb_id})
        return None

    async def _fail(self, visit: _Visit, url: str, fault: Exception) -> None:
        known = visit.known.get(url) or Page(url)
        state: PageState = "refused" if isinstance(fault, Forbidden) else "failed"
        seen = replace(known, reason=str(fault), checked=_now())
        # As it was before: the next run asks for all of it again only if it has changed.
        await self._pages.put(visit.source, replace(seen, state=state))
        visit.tally.counts["failed"] += 1
        visit.tally.explain(url, fault)

    async def _miss(self, visit: _Visit, url: str, fault: FetchFault) -> None:
        known = visit.known.get(url) or Page(url)
        missing = known.missing_runs + 1
        visit.tally.explain(url, fault)
        if missing >= visit.source.options.remove_after:
            await self._remove(visit.source, visit.kb, known)
            visit.tally.counts["removed"] += 1
            return
        seen = replace(known, state="missing", reason=str(fault), checked=_now())
        await self._pages.put(visit.source, replace(seen, missing_runs=missing))
        visit.tally.counts["missing"] += 1

    async def _remove(self, source: Source, kb: KnowledgeBase, page: Page) -> None:
        if page.file_name:
            await self._ingest.remove(kb, [page.file_name], delete_content=True)
        await self._pages.forget(source, [page.url])


def _now() -> datetime:
    return datetime.now(UTC)
