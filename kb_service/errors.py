"""What can go wrong here, in the words that the old wire's users know.

ServiceError (servicekit)
├── HostileName              403   `Don't attack me`
├── OutOfReach               403   the credential is confined to other names, existing or not
├── NoSuchKnowledgeBase      404   also for one that the caller may not see or not write
├── NameTaken                404   the old wire's code for it
├── EmptyName                404   the old wire's code for it
├── NotReadable              500   the file of a download is not there
├── NoSuchFile               404   of a knowledge base
├── NoSuchJob                404   also for one of a knowledge base that the caller may not write
├── NoSuchQuestion           404   also for one that the caller may not see or not change
├── QuestionTaken            409
├── NotImported              422   the table as a whole
├── NoSuchEmbedder           422
├── NotAnEmbedder            500
├── NotEmbedded              500
├── NoSuchChunk              404   also for one of an index that was replaced meanwhile
├── ChunkChanged             409   somebody else was faster
├── NotDeletable             409   a chunk of the file itself
├── NotCancelled             409
├── NotRetried               409
├── NoSuchSource             404   the same of a web source
├── SourceThere              409
├── SourceRefused            422   a URL that is not fetched
├── NoSuchEvalSet            404   also for one of another knowledge base
├── NoSuchEvalItem           404
├── NoSuchEvalRun            404
├── EvalNameTaken            409
├── EvalItemThere            409
├── EvalRefused              409   too many of something, or not now
├── EvalInvalid              422
├── NotPreviewed             422   a file that cannot be read or cut
├── Unreadable               400   a form that is none
└── UploadTooLarge           413

FileFault is about one file of several: the others go on, and it ends up in `failed_files`.
"""

from collections.abc import Sequence
from typing import ClassVar

from servicekit.errors import Conflict, Invalid, NotFound, Refused, ServiceError


class HostileName(Refused):
    def __init__(self) -> None:
        super().__init__("Don't attack me")


class OutOfReach(Refused):
    def __init__(self) -> None:
        super().__init__(
            "该凭证只能访问指定的知识库。This credential is for certain knowledge bases only."
        )


class NoSuchKnowledgeBase(NotFound):
    def __init__(self, shown: str) -> None:
        super().__init__(f"未找到知识库 {shown}")


class NameTaken(NotFound):
    def __init__(self, shown: str) -> None:
        super().__init__(f"已存在同名知识库 {shown}")


class EmptyName(NotFound):
    def __init__(self) -> None:
        super().__init__("知识库名称不能为空，请重新填写知识库名称")


class UnknownVectorStore(ServiceError):
    status: ClassVar[int] = 500

    def __init__(self, shown: str) -> None:
        super().__init__(f"创建知识库出错： 未知的向量库类型 {shown}")


class NotReadable(ServiceError):
    def __init__(self, shown: str) -> None:
        super().__init__(f"{shown} 读取文件失败")


class Unreadable(ServiceError):
    status, code, true_status = 400, "unreadable", True


class UploadTooLarge(ServiceError):
    status, code, true_status = 413, "too_large", True

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}  # else the server would go on reading what nobody wants


class NoSuchFile(NotFound):
    def __init__(self, shown: str) -> None:
        super().__init__(f"There is no file {shown}. 未找到文件 {shown}。")


class NotPreviewed(Invalid):
    """`str(error)` is what its user reads."""


class NoSuchJob(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such job. 没有此任务。")


class NoSuchQuestion(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such question. 没有此推荐问题。")


class QuestionTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("This question is there already. 已有相同的推荐问题。")


class NotImported(Invalid):
    pass


class NotAnEmbedder(ServiceError):
    def __init__(self, shown: str) -> None:
        super().__init__(f"指定的模型 {shown} 不支持 Embeddings 功能。")


class NoSuchEmbedder(Invalid):
    code = "model_not_found"

    def __init__(self, shown: str, names: Sequence[str]) -> None:
        known = ", ".join(names)
        super().__init__(
            f"未知的向量模型 {shown}，可用：{known or '无，见 docs/retrieval.zh-CN.md'}。"
            f"There is no embedding model {shown}; "
            f"available: {known or 'none, see docs/retrieval.md'}."
        )


class NotEmbedded(ServiceError):
    def __init__(self, why: object) -> None:
        super().__init__(f"文本向量化过程中出现错误：{why}")


class NoSuchChunk(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such chunk, perhaps no more. 没有此分块，或已被替换。")


class ChunkChanged(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "The chunk or its file was changed meanwhile; look at it again. "
            "分块或文件在此期间已被修改，请刷新后重试。"
        )


class NotDeletable(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "Only added chunks can be deleted; disable it instead. 只能删除新增的分块，请改为停用。"
        )


class NotCancelled(Conflict):
    def __init__(self) -> None:
        super().__init__("The job is over already. 任务已结束，无法取消。")


class NotRetried(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "Only a failed or cancelled job can be tried again, as long as nothing newer has taken "
            "its place. 只能重试失败或已取消、且未被更新内容取代的任务。"
        )


class NoSuchSource(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such source. 没有此来源。")


class SourceThere(Conflict):
    def __init__(self) -> None:
        super().__init__("This knowledge base has that source already. 该知识库已有此来源。")


class SourceRefused(Invalid):
    pass


class NoSuchEvalSet(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such evaluation set. 没有此评测集。")


class NoSuchEvalItem(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such item in the set. 评测集中没有此条目。")


class NoSuchEvalRun(NotFound):
    def __init__(self) -> None:
        super().__init__("There is no such run of the set. 评测集没有此次运行。")


class EvalNameTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("There is a set of that name already. 已有同名评测集。")


class EvalItemThere(Conflict):
    def __init__(self) -> None:
        super().__init__("The set has this question already. 评测集中已有相同的问题。")


class EvalRefused(Conflict):
    pass


class EvalInvalid(Invalid):
    pass


class FileFault(Exception):
    """Why one file was not taken; `str(fault)` is what the user reads."""


class Superseded(Exception):
    """The file was replaced or removed meanwhile."""


class EditsChanged(Exception):
    """A user edited chunks of a file while what becomes of its edits was planned: plan again."""


class LeaseLost(Exception):
    """The job was cancelled, is gone, or is another worker's by now: write nothing more."""


def already_there(shown: str) -> FileFault:
    return FileFault(f"文件 {shown} 已存在。")


def not_found(shown: str) -> FileFault:
    return FileFault(f"未找到文件 {shown}")


def not_saved(shown: str, why: object) -> FileFault:
    return FileFault(f"{shown} 文件上传失败，报错信息为: {why}")


def not_supported(shown: str, extension: str) -> FileFault:
    return FileFault(f"加载文档 {shown} 时出错：暂未支持的文件格式 {extension}")


def not_loaded(kb_name: str, shown: str, why: object) -> FileFault:
    return FileFault(f"从文件 {kb_name}/{shown} 加载文档时出错：{why}")


def not_customised(shown: str, why: object) -> FileFault:
    return FileFault(f"为 {shown} 添加自定义docs时出错：{why}")


def nothing_to_load(shown: str) -> FileFault:
    return FileFault(f"加载文档 {shown} 时出错：未找到文件 {shown}")


def changed_meanwhile(shown: str) -> FileFault:
    return FileFault(f"文件 {shown} 在处理期间被修改或删除。It was changed meanwhile.")


def still_working(shown: str) -> FileFault:
    return FileFault(
        f"文件 {shown} 已接收，正在处理中，完成后即可检索。"
        "It was accepted and is still being processed."
    )


def broke_down(shown: str) -> FileFault:
    return FileFault(
        f"处理文件 {shown} 时出现内部错误，可重试。"
        "Something went wrong inside; it can be tried again."
    )
