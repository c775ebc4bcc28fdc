"""Points, hits and conditions as a Qdrant server's client has them."""

from collections.abc import Sequence

from qdrant_client import models

from kb_service.vectors import DENSE, KB_ID, SPARSE, VERSION, Hit, Point, SparseVector, Where


def stored(point: Point) -> models.PointStruct:
    vectors: dict[str, models.Vector] = {SPARSE: vector(point.sparse)}
    if point.dense is not None:
        vectors[DENSE] = point.dense
    own = {KB_ID: str(point.kb_id), VERSION: point.version}
    return models.PointStruct(id=point.id, vector=vectors, payload=point.payload | own)


def hit(point: models.ScoredPoint, similarity: float | None) -> Hit:
    payload = dict(point.payload or {})
    payload.pop(KB_ID)
    return Hit(str(point.id), payload.pop(VERSION), payload, similarity)


def vector(sparse: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices, values=sparse.values)


def of(
    kb_id: int,
    version: str | None = None,
    *,
    where: Where | None = None,
    ids: Sequence[models.ExtendedPointId] | None = None,
) -> models.Filter:
    wanted = {KB_ID: str(kb_id)} if version is None else {KB_ID: str(kb_id), VERSION: version}
    must: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in wanted.items()
    ]
    if where:
        must += [
            models.FieldCondition(key=key, match=models.MatchAny(any=values))
            for key, values in where.choices
        ]
        must += [
            models.FieldCondition(key=key, range=models.Range(gte=least, lte=most))
            for key, least, most in where.ranges
        ]
    if ids is not None:
        must.append(models.HasIdCondition(has_id=list(ids)))
    return models.Filter(must=must)


def idf_of(kb_id: int) -> models.SearchParams:
    return models.SearchParams(idf=models.IdfCorpusParams(corpus=of(kb_id)))
