"""The sample knowledge base: this product's own manual, made once and never again."""

import logging
from io import BytesIO
from pathlib import Path

from anyio import to_thread

from kb_service.context import Context
from kb_service.entities import Owner
from kb_service.ingest import Upload, Wishes
from kb_service.store import KnowledgeBaseStore

NAME = "chat2llm"
_MILESTONE = "sample"
_FOLDER = Path(__file__).parent / "sample"
_OWNER = "admin"
_QUESTIONS = (
    "怎样快速启动 Chat2LLM？",
    "宿主应用怎么签发 api_token？",
    "支持上传哪些格式的文档？",
    "怎样接入自己的大模型？",
    "怎样备份和恢复数据？",
    "没有配置模型时为什么也能回答问题？",
)

logger = logging.getLogger(__name__)


async def create_sample(context: Context, rows: KnowledgeBaseStore) -> None:
    """Picks up where an earlier start was interrupted; what the operator deletes stays deleted."""
    try:
        if await rows.reached(_MILESTONE):
            return
        kb = await rows.find(NAME) or await context.library.create(
            NAME,
            zh_name="Chat2LLM 使用手册",
            info="关于本产品的使用说明，可用来试用知识库问答",
            vector_store="default",
            owner_client=_OWNER,
            questions=_QUESTIONS,
        )
        uploads = await to_thread.run_sync(_uploads)
        wishes = Wishes(context.chunking, Owner(_OWNER, _OWNER))
        accepted = await context.ingest.upload(kb, uploads, {}, wishes, override=False)
        failed = await context.ingest.outcome(accepted)
        for name, why in failed.items():
            logger.warning("sample document %s: %s", name, why)
        await rows.mark(_MILESTONE)
    except Exception:  # the boundary of a background task: the service runs without its sample
        logger.exception("the sample knowledge base could not be made")


def _uploads() -> list[Upload]:
    contents = [(path.name, path.read_bytes()) for path in sorted(_FOLDER.glob("*.md"))]
    return [Upload(name, len(content), BytesIO(content)) for name, content in contents]
