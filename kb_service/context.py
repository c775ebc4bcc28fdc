"""What one process of this service holds for as long as it runs."""

from dataclasses import dataclass

from kb_service.entities import ChunkOptions
from kb_service.ingest import Ingest
from kb_service.jobs.queue import Queue
from kb_service.library import Library
from kb_service.previews import Previews
from kb_service.questions import Questions
from kb_service.search import Search
from kb_service.sources.register import Register


@dataclass(frozen=True, slots=True)
class Context:
    """Built in the lifespan, read by the handlers."""

    library: Library
    ingest: Ingest
    queue: Queue
    search: Search
    questions: Questions
    previews: Previews
    sources: Register
    chunking: ChunkOptions
    upload_max_mb: int
