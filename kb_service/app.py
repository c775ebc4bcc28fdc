"""kb_service, put together."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI

from kb_service import first_start
from kb_service.api import (
    admin_questions,
    administration,
    chunks,
    documents,
    embedders,
    embeddings,
    eval_runs,
    eval_sets,
    internal,
    jobs,
    knowledge_bases,
    known_files,
    openai_embeddings,
    questions,
    search,
    sources,
    splitting,
    tags,
)
from kb_service.catalog import LiveCatalog
from kb_service.chunks import Chunks
from kb_service.collection_set import CollectionSet
from kb_service.content import ContentFolder
from kb_service.context import Context
from kb_service.embeddings import Embedder, Prefixes
from kb_service.embeddings.available import Embedders
from kb_service.embeddings.endpoint import OpenAIEmbedder
from kb_service.embeddings.local import LocalEmbedder
from kb_service.entities import ChunkOptions
from kb_service.evaluation.runner import Runner as EvalRunner
from kb_service.evaluation.runs import Runs
from kb_service.evaluation.sets import Sets
from kb_service.evaluation.tables import Tables
from kb_service.following import Follower
from kb_service.indexer import Indexer
from kb_service.ingest import Ingest
from kb_service.jobs.broker import open_signals
from kb_service.jobs.progress import Board
from kb_service.jobs.queue import Queue
from kb_service.jobs.sweep import Sweep
from kb_service.jobs.team import Team
from kb_service.jobs.worker import Worker
from kb_service.known_files import KnownFiles
from kb_service.labelling import Labelling
from kb_service.library import Library
from kb_service.overlays import Overlays
from kb_service.parsers import ParserPool
from kb_service.previews import Previews
from kb_service.questions import Questions
from kb_service.questions.importing import QuestionImport
from kb_service.rebuild import Rebuild
from kb_service.repair import FLUSHED_EVERY, Repair
from kb_service.repeating import attempt, repeat
from kb_service.rerank import Reranker
from kb_service.rerank.endpoint import EndpointReranker
from kb_service.rerank.local import LocalReranker
from kb_service.search import Search
from kb_service.settings import KbSettings
from kb_service.sharing import ALONE, TOGETHER
from kb_service.sources.crawl import Crawl
from kb_service.sources.fetching import Fetcher, Limits
from kb_service.sources.guard import Guard, Policy, SystemResolver
from kb_service.sources.pace import Pace
from kb_service.sources.register import Register
from kb_service.sources.runner import Runner
from kb_service.statistics import CountedSearch, Tally
from kb_service.store import (
    ChangeStore,
    ChunkStore,
    EmbeddingStore,
    EvalResultStore,
    EvalRunStore,
    EvalSetStore,
    FileStore,
    JobStore,
    KnowledgeBaseStore,
    LabelStore,
    LeaseStore,
    ManagedFileStore,
    PageStore,
    PlacementStore,
    QuestionStore,
    SourceStore,
    StatisticsStore,
    VersionStore,
)
from kb_service.vectors import ServerOptions, VectorIndex, open_index, remove_unused
from kb_service.wording import Lexicon
from servicekit.app import build_app
from servicekit.database import Database, sqlite_url
from servicekit.identity import CallerVerifier
from servicekit.logs import configure_logs

logger = logging.getLogger(__name__)


def create_app(
    settings: KbSettings | None = None, *, patience: float = 45, parsers: ParserPool | None = None
) -> FastAPI:
    """`patience` is how many seconds an upload of the old wire waits to be searchable.

    `parsers` outlive the app; without them it has its own.
    """
    loaded = settings or KbSettings.load()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs("kb_service", loaded.log_level)
        app.state.caller_verifier = CallerVerifier.from_file(loaded.caller_key_file)
        async with AsyncExitStack() as stack:
            await _start(app, loaded, stack, patience, parsers)
            yield

    app = build_app(title="Chat2LLM kb_service", lifespan=lifespan)
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    for module in (
        *(knowledge_bases, documents, questions, embeddings, openai_embeddings, internal),
        *(administration, admin_questions, jobs, sources, known_files, embedders),
    ):
        app.routes.extend(module.router.routes)
    for module in (splitting, chunks, tags, search, eval_sets, eval_runs):
        app.routes.extend(module.router.routes)
    for module in (documents, jobs, admin_questions, splitting, eval_sets):
        app.routes.extend(module.uploads.routes)
    app.routes.extend(questions.taps.routes)
    return app


async def _start(
    app: FastAPI,
    settings: KbSettings,
    stack: AsyncExitStack,
    patience: float,
    shared_parsers: ParserPool | None,
) -> None:
    # An upload survives a power cut from the moment it is acknowledged: hence FULL.
    url = settings.kb_database_url or sqlite_url(settings.folder / "kb.db")
    database = Database(url, package="kb_service", synchronous="FULL")
    stack.push_async_callback(database.close)
    await database.upgrade()
    rows, files = KnowledgeBaseStore(database), FileStore(database)
    kept_vectors = EmbeddingStore(database, megabytes=settings.embedding_cache_mb)
    models, versions = _embedders(settings, kept_vectors), VersionStore(database)
    stack.push_async_callback(models.close)
    collections = await _collections(settings, models, versions, stack)
    catalog, content = LiveCatalog(), _content(settings)
    changes, sharing = ChangeStore(database), TOGETHER if settings.is_shared else ALONE
    indexer = Indexer(
        collections=collections,
        catalog=catalog,
        versions=versions,
        labelling=Labelling(LabelStore(database), collections),
        sharing=sharing,
    )
    parsers = shared_parsers or await _parsers(stack, settings.kb_workers)
    library = Library(
        knowledge_bases=rows,
        files=files,
        content=content,
        indexer=indexer,
        embedders=models,
    )
    overlays = Overlays(
        chunks=ChunkStore(database), versions=versions, indexer=indexer, catalog=catalog
    )
    job_rows, leases = JobStore(database), LeaseStore(database)
    follower = Follower(changes, catalog, library, sharing)
    await follower.begin()
    # The embedded engine has one process, so nobody else can be at work.
    await leases.recover(all_of_them=not settings.is_shared)
    await _read_all(indexer, overlays, library)
    board = Board(job_rows)
    placements = PlacementStore(database)
    worker = Worker(
        jobs=job_rows,
        files=files,
        pages=PageStore(database),
        versions=versions,
        content=content,
        parsers=parsers,
        indexer=indexer,
        overlays=overlays,
        placements=placements,
    )
    team = Team(leases, worker, board, size=settings.kb_workers)
    signals = await open_signals(
        team.drain, redis_url=_redis_url(settings), workers=settings.kb_workers
    )
    stack.push_async_callback(team.close)
    stack.push_async_callback(signals.close)
    queue = Queue(job_rows, board, signals)
    rebuild = Rebuild(placements, queue, models)
    await _repair(settings, Repair(versions, collections, catalog, queue))
    ingest = Ingest(
        files=files,
        content=content,
        parsers=parsers,
        indexer=indexer,
        queue=queue,
        upload_max_mb=settings.upload_max_mb,
        patience=patience,
    )
    runner, register = await _sources(database, settings, queue, ingest, library)
    tally, asked = Tally(StatisticsStore(database)), Questions(QuestionStore(database), library)
    retrieval = Search(collections, catalog, _reranker(settings, stack), _lexicon(settings))
    sets, runs, eval_runner = await _evaluation(database, settings, retrieval, library, parsers)
    app.state.ready_checks = (database.ping, indexer.ping)
    app.state.context = Context(
        library=library,
        files=ManagedFileStore(database),
        ingest=ingest,
        queue=queue,
        search=CountedSearch(retrieval, tally),
        retrieval=retrieval,
        tally=tally,
        embedders=models,
        rebuild=rebuild,
        questions=asked,
        question_import=QuestionImport(asked, parsers),
        chunks=Chunks(ChunkStore(database), overlays),
        previews=Previews(
            library,
            content,
            shared_parsers or await _parsers(stack, 1),  # of their own: people wait for them
            upload_max_mb=settings.upload_max_mb,
        ),
        sources=register,
        known_files=KnownFiles(files, job_rows, content),
        eval_sets=sets,
        eval_runs=runs,
        labelling=indexer.labelling,
        chunking=_chunking(settings),
        upload_max_mb=settings.upload_max_mb,
    )
    # A full collection over everything that was just imported would stop the loop for 100 ms.
    gc.freeze()
    sweep = Sweep(
        leases=leases,
        jobs=job_rows,
        indexer=indexer,
        content=content,
        team=team,
        changes=changes,
        kept_vectors=kept_vectors,
    )
    for work in (
        *(sweep.run(), sweep.run_purge(), rebuild.run(), follower.run()),
        *(runner.run(), eval_runner.run(), tally.run()),
        repeat(collections.flush, every=FLUSHED_EVERY),
        _in_background(app.state.context, parsers, rows, settings),
    ):
        await stack.enter_async_context(_running(work))


async def _collections(
    settings: KbSettings, models: Embedders, versions: VersionStore, stack: AsyncExitStack
) -> CollectionSet:
    """Without those that nothing is in any more; on a server an empty one costs little."""
    used = await versions.collections() | {model.collection for model in models.all()}
    await asyncio.to_thread(remove_unused, settings.folder / "qdrant", used)
    collections = CollectionSet(models, partial(_open_collection, settings), versions)
    stack.push_async_callback(collections.close)
    return collections


async def _read_all(indexer: Indexer, overlays: Overlays, library: Library) -> None:
    await indexer.open()
    await indexer.recover()
    await overlays.recover()
    await library.load()


async def _repair(settings: KbSettings, repair: Repair) -> None:
    """Of the embedded engine: a server keeps what it acknowledged."""
    if not settings.qdrant_url:
        await attempt(repair.run)


async def _parsers(stack: AsyncExitStack, size: int) -> ParserPool:
    pool = ParserPool(size=size)
    stack.push_async_callback(pool.close)
    await stack.enter_async_context(_running(pool.run()))
    return pool


async def _sources(
    database: Database, settings: KbSettings, queue: Queue, ingest: Ingest, library: Library
) -> tuple[Runner, Register]:
    rows, pages = SourceStore(database), PageStore(database)
    if not settings.is_shared:
        await rows.recover()
    guard = Guard(Policy.parse(settings.crawl_allowed_hosts), SystemResolver())
    pace, limits = Pace(settings.crawl_delay), Limits(settings.upload_max_mb)
    crawl = Crawl(
        pages=pages,
        files=FileStore(database),
        queue=queue,
        ingest=ingest,
        open_fetcher=partial(Fetcher.open, guard, pace, limits),
        chunking=_chunking(settings),
    )
    runner = Runner(rows, crawl, library.with_id)
    return runner, Register(rows, pages, guard, runner)


async def _evaluation(
    database: Database,
    settings: KbSettings,
    search: Search,
    library: Library,
    parsers: ParserPool,
) -> tuple[Sets, Runs, EvalRunner]:
    rows, run_rows = EvalSetStore(database), EvalRunStore(database)
    if not settings.is_shared:
        await run_rows.recover(all_of_them=True)
    runner = EvalRunner(run_rows, rows, search, library.with_id, _chunking(settings))
    sets = Sets(rows, Tables(parsers))
    return sets, Runs(run_rows, EvalResultStore(database), sets, runner), runner


async def _in_background(
    context: Context, parsers: ParserPool, rows: KnowledgeBaseStore, settings: KbSettings
) -> None:
    """What need not be done before the service is ready."""
    await context.embedders.warm()
    await parsers.clean()
    await parsers.warm()
    if settings.kb_sample:
        await first_start.create_sample(context, rows)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Ends through its scope, so that what it shields is done to its end."""
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await work

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        scope.cancel()
        await task


def _chunking(settings: KbSettings) -> ChunkOptions:
    return ChunkOptions(settings.chunk_size, settings.chunk_overlap)


def _content(settings: KbSettings) -> ContentFolder:
    """Where several processes write, what is young may belong to a row that is about to come."""
    return ContentFolder(settings.folder / "content", spared=3_600 if settings.is_shared else 0)


def _redis_url(settings: KbSettings) -> str | None:
    return settings.redis_url.get_secret_value() if settings.is_shared else None


def server_options(settings: KbSettings) -> ServerOptions:
    return ServerOptions(
        payload_m=settings.qdrant_payload_m,
        ef_construct=settings.qdrant_ef_construct,
        quantization=settings.qdrant_quantization,
        on_disk=settings.qdrant_on_disk,
        shard_number=settings.qdrant_shard_number,
        replication_factor=settings.qdrant_replication_factor,
        write_consistency_factor=settings.qdrant_write_consistency_factor,
    )


def _open_collection(settings: KbSettings, name: str) -> VectorIndex:
    return open_index(
        url=settings.qdrant_url or None,
        api_key=settings.qdrant_api_key.get_secret_value() or None,
        folder=settings.folder / "qdrant",
        collection=name,
        options=server_options(settings),
    )


def _reranker(settings: KbSettings, stack: AsyncExitStack) -> Reranker | None:
    if settings.rerank_api_base_url:
        endpoint = EndpointReranker(
            base_url=settings.rerank_api_base_url,
            api_key=settings.rerank_api_api_key.get_secret_value(),
            model=settings.rerank_api_model,
            seconds=settings.rerank_timeout,
        )
        stack.push_async_callback(endpoint.close)
        return endpoint
    if settings.rerank_model_folder:
        return LocalReranker(settings.rerank_model_folder, seconds=settings.rerank_timeout)
    return None


def _lexicon(settings: KbSettings) -> Lexicon:
    return Lexicon.load(settings.kb_dictionary, settings.kb_synonyms)


def _embedders(settings: KbSettings, cache: EmbeddingStore) -> Embedders:
    """The endpoint comes before the folder: the first is what knowledge bases have by default."""
    prefixes = Prefixes(settings.embedding_query_prefix, settings.embedding_passage_prefix)
    found: list[Embedder] = []
    if settings.embedding_api_base_url:
        found.append(
            OpenAIEmbedder(
                base_url=settings.embedding_api_base_url,
                api_key=settings.embedding_api_api_key.get_secret_value(),
                model=settings.embedding_api_model,
                prefixes=prefixes,
            )
        )
    if settings.embedding_model_folder:
        folder, workshop = settings.embedding_model_folder, settings.folder / "models"
        found.append(LocalEmbedder(folder, workshop, prefixes))
    if not found:
        logger.info("no embedding model is configured: search is lexical. 未配置向量模型。")
    return Embedders(found, cache if settings.embedding_cache_mb else None)
