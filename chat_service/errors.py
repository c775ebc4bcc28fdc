"""What can go wrong between a question and its answer.

NotFound                        the kit's
├── NoSuchModel                 no fallback where OpenAI's clients ask
└── NoSuchKnowledgeBase         or none that the caller sees
UpstreamError
├── ModelError                  its text is the sentence that the user reads in the stream
│   ├── ModelUnreachable        no connection, 5xx, cut before the first token: worth a retry
│   │   └── ModelPaused         failed so often that it is left alone for a while
│   ├── ModelBusy               429, or our own queue is full; with a Retry-After
│   ├── ModelRefused            401, 403, 400, 404 ...: a retry would not help
│   │   ├── ModelExhausted      the account is out of money or quota
│   │   └── ModelTooLong        more than the model can read
│   ├── ModelFiltered           the vendor's content filter: no other model is asked either
│   ├── ModelTimeout            too long before the first token, between tokens or in all
│   ├── ModelBroken             cut, unreadable or empty stream, an error in the middle
│   ├── QuotaUsedUp             the caller's tokens of the day
│   ├── SessionBusy             a question of the same session is being answered
│   ├── WordsBlocked            a word of an operator's list
│   └── QuestionRefused         the moderation endpoint flagged it
├── SearchFailed                a web search engine did not answer, or not as documented
└── AnswerFailed                what nobody foresaw
"""

from servicekit.errors import NotFound, UpstreamError


class NoSuchKnowledgeBase(NotFound):
    """Neither does one that the caller may not see exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"未找到知识库 {name}")
        self.name = name


class NoSuchModel(NotFound):
    """On surfaces that do not fall back to the default model."""

    code = "model_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"The model {name!r} does not exist. 没有这个模型。")


class ModelError(UpstreamError):
    """`detail` is for the log: never shown to the user, never holding a key."""

    def __init__(self, message: str, *, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = detail


class ModelUnreachable(ModelError):
    def __init__(self, detail: str) -> None:
        super().__init__(
            "模型服务暂时无法连接，请稍后再试。"
            "The model cannot be reached right now; please try again later.",
            detail=detail,
        )


class ModelPaused(ModelUnreachable):
    pass


class ModelBusy(ModelError):
    def __init__(self, detail: str, *, retry_after: int | None) -> None:
        super().__init__(
            "模型服务繁忙，请稍等片刻再试。The model is busy; please try again in a moment.",
            detail=detail,
            retry_after=retry_after,
        )


class ModelRefused(ModelError):
    @classmethod
    def by_status(cls, status: int, vendor: str, detail: str) -> "ModelRefused":
        if status in (401, 403):
            return cls(
                f"模型服务拒绝了访问密钥，请联系管理员检查 {vendor} 的 API_KEY。"
                f"The model refused our key; ask your administrator to check {vendor}'s API_KEY.",
                detail=detail,
            )
        if status < 400 or status in (404, 405):
            return cls(
                f"找不到所配置的模型，请联系管理员检查 {vendor} 的 MODEL 与 BASE_URL。"
                "The configured model does not exist; ask your administrator to check "
                f"{vendor}'s MODEL and BASE_URL.",
                detail=detail,
            )
        return cls(
            "模型服务不接受这个请求，请缩短问题或换个问法。"
            "The model does not accept this request; shorten the question or put it differently.",
            detail=detail,
        )


class ModelExhausted(ModelRefused):
    def __init__(self, detail: str) -> None:
        super().__init__(
            "模型账户的额度已用完，请联系管理员充值或更换模型。"
            "The model's account is out of quota; ask your administrator to top it up.",
            detail=detail,
        )


class ModelTooLong(ModelRefused):
    code = "context_length_exceeded"

    def __init__(self, detail: str) -> None:
        super().__init__(
            "内容超出了模型一次能处理的长度，请缩短问题或新建会话。"
            "This is more than the model can read at once; shorten the question or start a new "
            "conversation.",
            detail=detail,
        )


class ModelFiltered(ModelError):
    code = "content_filter"

    def __init__(self, detail: str) -> None:
        super().__init__(
            "模型服务商的内容安全策略拦截了这次回答，请换个说法。"
            "The model vendor's content filter stopped this answer; please put it differently.",
            detail=detail,
        )


class ModelTimeout(ModelError):
    def __init__(self, detail: str) -> None:
        super().__init__(
            "模型响应超时，请重试。The model took too long to answer; please try again.",
            detail=detail,
        )


class ModelBroken(ModelError):
    def __init__(self, detail: str) -> None:
        super().__init__(
            "模型的回答中断了，请重试。The model's answer broke off; please try again.",
            detail=detail,
        )

    @classmethod
    def empty(cls) -> "ModelBroken":
        error = cls("the stream held no text")
        error.args = (
            "模型没有返回任何内容，请换个问法再试。"
            "The model returned nothing; please put the question differently.",
        )
        return error


class SearchFailed(UpstreamError):
    """`detail` is for the log."""

    def __init__(self, engine: str, detail: str) -> None:
        super().__init__(
            f"联网搜索（{engine}）暂时不可用，请稍后再试。"
            f"Web search ({engine}) is not available right now; please try again later."
        )
        self.detail = f"{engine}: {detail}"


class AnswerFailed(UpstreamError):
    """The log has the reason."""

    def __init__(self) -> None:
        super().__init__(
            "回答时出了点问题，请稍后再试。Something went wrong; please try again later."
        )


class QuotaUsedUp(ModelError):
    """Before the model was asked; `retry_after` is until midnight."""

    code = "quota_used_up"

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            "今天的用量已达上限，请明天再试，或联系管理员提高额度。"
            "Today's tokens are used up; try again tomorrow, or ask your administrator for more.",
            detail="a quota is used up",
            retry_after=retry_after,
        )


class SessionBusy(ModelError):
    """Another question of the same session is being answered."""

    code = "session_busy"

    def __init__(self) -> None:
        super().__init__(
            "这个会话的上一个问题还在回答中，请等它结束后再试。"
            "The previous question of this conversation is still being answered; "
            "please try again when it is done.",
            detail="another question of the session is being answered",
            retry_after=5,
        )


class WordsBlocked(ModelError):
    """A word of an operator's list, in a question or in an answer."""

    code = "content_filter"

    def __init__(self) -> None:
        super().__init__(
            "内容包含不允许的词语，无法继续。"
            "This contains words that are not allowed here, so it ends.",
            detail="a word list blocked it",
        )


class QuestionRefused(ModelError):
    """By the moderation endpoint."""

    code = "content_filter"

    def __init__(self) -> None:
        super().__init__(
            "这个问题未通过内容审核，请换个说法。"
            "This question did not pass moderation; please put it differently.",
            detail="the moderation endpoint flagged it",
        )
