"""The embedding models of this installation: what a knowledge base can be indexed with."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kb_service.embeddings import Embedded, Embedder, EmbedderKind
from kb_service.embeddings.cached import CachedEmbedder, VectorCache
from kb_service.errors import NoSuchEmbedder, NotAnEmbedder, NotEmbedded
from kb_service.names import shown
from kb_service.tokens import LEXICAL_RECIPE
from servicekit.errors import UpstreamError

LEXICAL = "lexical"

_RECIPE = re.compile(r"-w\d+$")


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A way to index; without an embedder by words alone. `collection` is where its vectors are."""

    name: str
    collection: str
    embedder: Embedder | None = None

    @property
    def kind(self) -> EmbedderKind:
        return self.embedder.kind if self.embedder else "lexical"


class Embedders:
    """Those that are configured, the default first, and `lexical`, which is always there.

    With a cache, what is indexed is embedded once; what outsiders send is not kept.
    """

    def __init__(
        self, embedders: Sequence[Embedder] = (), cache: VectorCache | None = None
    ) -> None:
        self._for_outsiders = {one.model: one for one in embedders}
        kept = [CachedEmbedder(one, cache) for one in embedders] if cache else embedders
        models = [EmbeddingModel(one.model, _today(_collection(one)), one) for one in kept]
        lexical = EmbeddingModel(LEXICAL, _today(LEXICAL))
        self._by_name = {model.name: model for model in [*models, lexical]}
        self._by_lasting_name = {_lasting(one.collection): one for one in self._by_name.values()}
        self.default = next(iter(self._by_name.values()))

    def all(self) -> list[EmbeddingModel]:
        return list(self._by_name.values())

    def named(self, name: str) -> EmbeddingModel | None:
        return self._by_name.get(name)

    def wanted(self, chosen: str) -> EmbeddingModel | None:
        """For a knowledge base whose owner chose so, "" being the default; None: not available."""
        return self._by_name.get(chosen) if chosen else self.default

    def of_collection(self, collection: str) -> EmbeddingModel | None:
        """None when the model is no longer available: then its texts are found by words alone."""
        return self._by_lasting_name.get(_lasting(collection))

    async def warm(self) -> None:
        for embedder in self._for_outsiders.values():
            await embedder.warm()

    async def close(self) -> None:
        for embedder in self._for_outsiders.values():
            await embedder.close()

    def embedder(self, name: str) -> Embedder:
        """Raises NoSuchEmbedder, also for words alone."""
        if name not in self._for_outsiders:
            raise NoSuchEmbedder(shown(name), list(self._for_outsiders))
        return self._for_outsiders[name]

    async def embed(self, texts: Sequence[str], *, model: str, to_query: bool = False) -> Embedded:
        """For somebody outside; an unknown model is the default one.

        Raises NotAnEmbedder, NotEmbedded.
        """
        default = self._for_outsiders.get(self.default.name)
        embedder = self._for_outsiders.get(model, default)
        if embedder is None:
            raise NotAnEmbedder(shown(model))
        try:
            if to_query:
                return Embedded([await embedder.embed_query(text) for text in texts])
            return await embedder.embed(texts)
        except UpstreamError as error:
            raise NotEmbedded(error) from None


def has_vectors(collection: str) -> bool:
    """Whether texts in it have vectors of a model beside their words."""
    return _lasting(collection) != LEXICAL


def _today(name: str) -> str:
    """The collection for what is indexed now: how words are indexed is a part of its name."""
    return f"{name}-w{LEXICAL_RECIPE}"


def _lasting(collection: str) -> str:
    """The part of the name that is the model's."""
    return _RECIPE.sub("", collection)


def _collection(embedder: Embedder) -> str:
    """Named after the model; the digest keeps apart what the readable part makes equal."""
    digest = hashlib.sha256(embedder.fingerprint.encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9]+", "-", embedder.model)[:40].strip("-") + f"-{digest}"
