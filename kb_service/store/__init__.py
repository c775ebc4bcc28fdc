"""The only SQL of this service; every method is one short transaction.

Indexing takes seconds and SQLite has one writer, so nobody may hold a transaction while working.
"""

from kb_service.store.changes import ChangeStore, KbState
from kb_service.store.chunks import ChunkStore
from kb_service.store.embeddings import EmbeddingStore
from kb_service.store.eval_results import EvalResultStore
from kb_service.store.eval_runs import EvalRunStore
from kb_service.store.eval_sets import EvalSetStore
from kb_service.store.files import FileStore, TakenOut
from kb_service.store.jobs import JobStore, Page
from kb_service.store.knowledge_bases import KnowledgeBaseStore
from kb_service.store.labels import LabelStore, Outdated
from kb_service.store.leases import LeaseStore
from kb_service.store.managed_files import FilePage, ManagedFileStore
from kb_service.store.pages import PagesPage, PageStore
from kb_service.store.placements import Placement, PlacementStore
from kb_service.store.questions import QuestionStore, Shelf
from kb_service.store.sources import SourceStore
from kb_service.store.statistics import MISSED_KEPT, StatisticsStore
from kb_service.store.versions import VersionStore

__all__ = [
    "MISSED_KEPT",
    "ChangeStore",
    "ChunkStore",
    "EmbeddingStore",
    "EvalResultStore",
    "EvalRunStore",
    "EvalSetStore",
    "FilePage",
    "FileStore",
    "JobStore",
    "KbState",
    "KnowledgeBaseStore",
    "LabelStore",
    "LeaseStore",
    "ManagedFileStore",
    "Outdated",
    "Page",
    "PageStore",
    "PagesPage",
    "Placement",
    "PlacementStore",
    "QuestionStore",
    "Shelf",
    "SourceStore",
    "StatisticsStore",
    "TakenOut",
    "VersionStore",
]
