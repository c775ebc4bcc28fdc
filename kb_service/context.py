"""What one process of this service holds for as long as it runs."""

from dataclasses import dataclass

from kb_service.chunks import Chunks
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions
from kb_service.evaluation.runs import Runs
from kb_service.evaluation.sets import Sets
from kb_service.ingest import Ingest
from kb_service.jobs.queue import Queue
from kb_service.known_files import KnownFiles
from kb_service.labelling import Labelling
from kb_service.library import Library
from kb_service.previews import Previews
from kb_service.questions import Questions
from kb_service.questions.importing import QuestionImport
from kb_service.rebuild import Rebuild
from kb_service.search import Search
from kb_service.sources.register import Register
from kb_service.statistics import CountedSearch, Tally
from kb_service.store import ManagedFileStore


@dataclass(frozen=True, slots=True)
class Context:
    """Built in the lifespan, read by the handlers."""

    library: Library
    files: ManagedFileStore
    ingest: Ingest
    queue: Queue
    search: CountedSearch
    retrieval: Search
    tally: Tally
    embedders: Embedders
    rebuild: Rebuild
    questions: Questions
    question_import: QuestionImport
    previews: Previews
    chunks: Chunks
    sources: Register
    known_files: KnownFiles
    eval_sets: Sets
    eval_runs: Runs
    labelling: Labelling
    chunking: ChunkOptions
    upload_max_mb: int
