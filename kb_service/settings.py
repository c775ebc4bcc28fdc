"""Settings of kb_service: the section [kb], and the embedder's keys of [model_setting]."""

import re
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from servicekit.settings import ServiceSettings

_HOST = r"\s*(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}\s*"
_HOSTS = re.compile(f"{_HOST}(?:,{_HOST})*")


class KbSettings(ServiceSettings):
    """Where documents are kept, how they are cut and what indexes them."""

    owned_sections: ClassVar[tuple[str, ...]] = ("kb",)

    kb_host: str = Field("127.0.0.1", description="Address to listen on. 监听地址。")
    kb_port: int = Field(7864, ge=0, le=65535, description="Port to listen on. 监听端口。")
    kb_database_url: str = Field(
        "",
        description="SQLAlchemy async URL; empty: SQLite in the data folder. "
        "数据库地址，留空则用数据目录中的 SQLite。",
    )
    kb_sample: bool = Field(
        True,
        description="Make the sample knowledge base at first start. 首次启动时创建示例知识库。",
    )
    qdrant_url: str = Field(
        "",
        description="Address of a Qdrant server; empty: the embedded engine. "
        "Qdrant 服务地址，留空则用内置引擎。",
    )
    qdrant_api_key: SecretStr = Field(
        SecretStr(""), description="API key of the Qdrant server. Qdrant 服务的密钥。"
    )
    qdrant_payload_m: int = Field(
        16,
        ge=4,
        le=128,
        description="Qdrant server: edges a node has in a knowledge base's HNSW graph. "
        "Qdrant 服务：HNSW 图中每个节点的边数。",
    )
    qdrant_ef_construct: int = Field(
        100,
        ge=10,
        le=1000,
        description="Qdrant server: neighbours considered when the HNSW graph is built. "
        "Qdrant 服务：构建 HNSW 图时考察的邻居数。",
    )
    qdrant_quantization: Literal["none", "scalar", "binary"] = Field(
        "none",
        description="Qdrant server: none, scalar (a quarter of the memory) or binary (a 32nd). "
        "Qdrant 服务：向量量化方式 none、scalar（内存四分之一）或 binary（三十二分之一）。",
    )
    qdrant_on_disk: bool = Field(
        False,
        description="Qdrant server: read vectors and indexes from disk, for more than fits in "
        "memory. Qdrant 服务：向量与索引从磁盘读取，用于内存放不下时。",
    )
    qdrant_shard_number: int = Field(
        1,
        ge=1,
        le=1024,
        description="Qdrant cluster: shards of a collection, at its making only. "
        "Qdrant 集群：集合的分片数，仅在新建时生效。",
    )
    qdrant_replication_factor: int = Field(
        1, ge=1, le=64, description="Qdrant cluster: copies of each shard. Qdrant 集群：副本数。"
    )
    qdrant_write_consistency_factor: int = Field(
        1,
        ge=1,
        le=64,
        description="Qdrant cluster: copies that must have a write before it counts. "
        "Qdrant 集群：写入须得到多少个副本确认。",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis that counts for all copies of a service, e.g. redis://127.0.0.1:6379/0;"
        " empty: each process counts alone. 多副本共用的限流计数，留空则各进程单独计数。",
    )
    kb_workers: int = Field(
        2, ge=1, le=64, description="Files that a process indexes at once. 单进程同时处理的文件数。"
    )
    upload_max_mb: int = Field(
        100, ge=1, le=4096, description="Largest file to upload, in MB. 单个文件的大小上限（MB）。"
    )
    crawl_allowed_hosts: str = Field(
        "",
        description="host:port of the own network that pages may be fetched from, with commas "
        "between; all else must be on the public internet. "
        "允许抓取的内网站点 host:port，逗号分隔；其余只能是公网地址。",
    )
    crawl_delay: float = Field(
        1,
        ge=0,
        le=60,
        description="Seconds between two requests to the same site. 对同一网站两次请求的间隔秒数。",
    )
    chunk_size: int = Field(
        250, ge=1, le=10_000, description="Default length of a chunk. 默认分块长度（字符）。"
    )
    chunk_overlap: int = Field(
        50, ge=0, description="Default overlap of chunks. 相邻分块默认重叠（字符）。"
    )
    kb_dictionary: FilePath | None = Field(
        None,
        description="File with a product name or other term a line that search keeps whole; read "
        "at start. 自定义词典文件，每行一个词（产品名等），检索时不拆分；启动时读取。",
    )
    kb_synonyms: FilePath | None = Field(
        None,
        description="File with a group of words a line that mean the same, with commas between; "
        "read at start. 同义词文件，每行一组，逗号分隔；启动时读取。",
    )
    embedding_api_base_url: str = Field(
        "",
        description="OpenAI-compatible embeddings endpoint, with /v1; empty: lexical search only. "
        "兼容 OpenAI 的向量接口地址（含 /v1），留空则只用词法检索。",
    )
    embedding_api_api_key: SecretStr = Field(
        SecretStr(""), description="Key of the embeddings endpoint. 向量接口的密钥。"
    )
    embedding_api_model: str = Field("", description="Embedding model. 向量模型名称。")
    embedding_model_folder: Path | None = Field(
        None,
        description="Folder of an embedding model that runs on this machine: tokenizer.json and "
        "model.onnx, or the weights of a BERT in model.safetensors; make local-embedder installs "
        "what it needs. 本机向量模型的文件夹，含 tokenizer.json 与 model.onnx（或 BERT 权重 "
        "model.safetensors），需先执行 make local-embedder。",
    )
    embedding_query_prefix: str = Field(
        "",
        description="Put before questions, as the makers of some models ask for, e.g. query: "
        "; empty: what the model's folder says. 检索问题前缀，部分模型需要，留空则按模型自带设置。",
    )
    embedding_passage_prefix: str = Field(
        "",
        description="The same before passages, e.g. passage: ; changing it embeds everything anew. "
        "文档分块前缀，修改后会重新生成全部向量。",
    )
    embedding_cache_mb: int = Field(
        512,
        ge=0,
        le=102_400,
        description="Vectors kept so that unchanged text costs no call again, in MB; 0: none. "
        "向量缓存上限（MB），内容未变的文本不再重复调用接口；0 为不缓存。",
    )
    rerank_api_base_url: str = Field(
        "",
        description="Endpoint that has /rerank; empty: no reranking. "
        "重排接口地址（不含 /rerank），留空则不重排。",
    )
    rerank_api_api_key: SecretStr = Field(
        SecretStr(""), description="Key of the reranking endpoint. 重排接口的密钥。"
    )
    rerank_api_model: str = Field("", description="Reranking model. 重排模型名称。")
    rerank_model_folder: Path | None = Field(
        None,
        description="Folder of a cross-encoder that runs on this machine: tokenizer.json and "
        "model.onnx. 本机重排模型的文件夹，含 tokenizer.json 与 model.onnx。",
    )
    rerank_timeout: float = Field(
        2,
        gt=0,
        le=60,
        description="Seconds that a search waits for the reranker. 检索等待重排的秒数上限。",
    )

    @field_validator("crawl_allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: str) -> str:
        if value and not _HOSTS.fullmatch(value):
            raise ValueError("write host:port, with commas between, e.g. wiki.example:8080")
        return value

    @field_validator("embedding_query_prefix", "embedding_passage_prefix")
    @classmethod
    def _end_prefix(cls, value: str) -> str:
        """A configuration file cannot say the space at its end that models were trained with."""
        return value + " " if value.endswith(":") else value

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError("CHUNK_OVERLAP must be smaller than CHUNK_SIZE")
        if bool(self.embedding_api_base_url) != bool(self.embedding_api_model):
            raise ValueError("EMBEDDING-API needs both BASE_URL and MODEL")
        if bool(self.rerank_api_base_url) != bool(self.rerank_api_model):
            raise ValueError("RERANK-API needs both BASE_URL and MODEL")
        return self

    @property
    def is_shared(self) -> bool:
        """Whether other processes of this service may work on the same data."""
        return bool(self.qdrant_url and self.redis_url.get_secret_value())

    @property
    def folder(self) -> Path:
        return self.chat2llm_data.absolute() / "kb"

    @property
    def caller_key_file(self) -> Path:
        return self.chat2llm_data / "keys" / "caller.pub"
