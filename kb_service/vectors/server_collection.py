"""A collection on a Qdrant server: made as the settings say, and kept so."""

import logging
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from kb_service.vectors import (
    DENSE,
    FILE_NAME,
    KB_ID,
    PAGE,
    SPARSE,
    TAGS,
    UPLOADED,
    VERSION,
    CollectionMismatch,
    ServerOptions,
)

_OLDEST = (1, 19)  # the first that computes IDF over a part of a collection
_CONFLICT = 409
_INDEXES: dict[str, models.PayloadSchemaType | models.KeywordIndexParams] = {
    KB_ID: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    VERSION: models.PayloadSchemaType.KEYWORD,
    FILE_NAME: models.PayloadSchemaType.KEYWORD,
    TAGS: models.PayloadSchemaType.KEYWORD,
    UPLOADED: models.PayloadSchemaType.FLOAT,
    PAGE: models.PayloadSchemaType.INTEGER,
}

logger = logging.getLogger(__name__)


async def bring_about(
    client: AsyncQdrantClient, name: str, dense_size: int | None, options: ServerOptions
) -> None:
    """The collection with its indexes, new or as it should be. Raises CollectionMismatch."""
    await _refuse_old_server(client)
    if not await client.collection_exists(name):
        await _create(client, name, dense_size, options)
    found = await client.get_collection(name)
    _refuse_other_size(name, found, dense_size)
    await _adapt(client, name, found, options)
    for key, schema in _INDEXES.items():
        if key not in found.payload_schema:
            await client.create_payload_index(name, key, schema)


async def _refuse_old_server(client: AsyncQdrantClient) -> None:
    version = (await client.info()).version
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise CollectionMismatch(
            f"Qdrant {version} is too old, 1.19 or newer is needed. Qdrant 版本过旧。"
        )


async def _create(
    client: AsyncQdrantClient, name: str, dense_size: int | None, options: ServerOptions
) -> None:
    dense = {}
    if dense_size is not None:
        dense[DENSE] = models.VectorParams(
            size=dense_size, distance=models.Distance.COSINE, on_disk=options.on_disk
        )
    words = models.SparseVectorParams(
        modifier=models.Modifier.IDF, index=models.SparseIndexParams(on_disk=options.on_disk)
    )
    try:
        await client.create_collection(
            name,
            vectors_config=dense,
            sparse_vectors_config={SPARSE: words},
            hnsw_config=_hnsw(options),
            quantization_config=_quantization(options),
            shard_number=options.shard_number,
            replication_factor=options.replication_factor,
            write_consistency_factor=options.write_consistency_factor,
        )
    except UnexpectedResponse as error:
        if error.status_code != _CONFLICT:  # another process was faster
            raise


def _refuse_other_size(name: str, found: models.CollectionInfo, dense_size: int | None) -> None:
    params = _dense_params(found)
    if (params.size if params else None) != dense_size:
        raise CollectionMismatch(
            f"Collection {name} was made for other vectors than size {dense_size}"
        )


async def _adapt(
    client: AsyncQdrantClient, name: str, found: models.CollectionInfo, options: ServerOptions
) -> None:
    """To settings that were changed since it was made."""
    params, changes = found.config.params, dict[str, Any]()
    if not _has(found.config.hnsw_config, _hnsw(options)):
        changes["hnsw_config"] = _hnsw(options)
    if found.config.quantization_config != _quantization(options):
        changes["quantization_config"] = _quantization(options) or models.Disabled.DISABLED
    factors = models.CollectionParamsDiff(
        replication_factor=options.replication_factor,
        write_consistency_factor=options.write_consistency_factor,
    )
    if not _has(params, factors):
        changes["collection_params"] = factors
    dense = _dense_params(found)
    if dense and bool(dense.on_disk) != options.on_disk:
        changes["vectors_config"] = {DENSE: models.VectorParamsDiff(on_disk=options.on_disk)}
    if changes:
        logger.info("collection %s: changing %s", name, ", ".join(sorted(changes)))
        await client.update_collection(name, **changes)
    if params.shard_number not in (None, options.shard_number):
        logger.warning(
            "collection %s has %s shards: QDRANT_SHARD_NUMBER counts for new collections alone. "
            "分片数只在新建集合时生效。",
            name,
            params.shard_number,
        )


def _hnsw(options: ServerOptions) -> models.HnswConfigDiff:
    """Every query is about one knowledge base, so graphs are made per knowledge base alone."""
    return models.HnswConfigDiff(
        m=0,
        payload_m=options.payload_m,
        ef_construct=options.ef_construct,
        on_disk=options.on_disk,
    )


def _quantization(
    options: ServerOptions,
) -> models.ScalarQuantization | models.BinaryQuantization | None:
    if options.quantization == "scalar":
        scalar = models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, quantile=0.99, always_ram=True
        )
        return models.ScalarQuantization(scalar=scalar)
    if options.quantization == "binary":
        binary = models.BinaryQuantizationConfig(always_ram=True)
        return models.BinaryQuantization(binary=binary)
    return None


def _dense_params(found: models.CollectionInfo) -> models.VectorParams | None:
    vectors = found.config.params.vectors
    return vectors.get(DENSE) if isinstance(vectors, dict) else None


def _has(stored: Any, wanted: Any) -> bool:
    """What the server leaves out is off."""
    return all(
        (getattr(stored, name) or 0) == value
        for name, value in wanted.model_dump(exclude_none=True).items()
    )
