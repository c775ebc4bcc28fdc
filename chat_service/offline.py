"""Answers without a model: the sentences of the passages that fit the question best.

Deterministic and extractive, and every answer says so.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

_SENTENCE_END = re.compile(r"(?<=[。！？；])(?![”’」』）])|(?<=[.!?])\s+|\n+")
_LATIN = re.compile(r"[a-z0-9][a-z0-9_+#.-]*", re.IGNORECASE)
_CJK = re.compile(r"[\u3400-\u9fff]+")
_TITLE = re.compile(r"[^\n:：|]{1,40}(?<![。！；.!;，,、])\n+(?=.)")
_MOST_SENTENCES = 3
_SHORT = 30
_MOST_CHARS = 300

_LABEL = {
    True: "【离线摘录：未配置大模型，以下为资料原文】\n\n",
    False: "[Offline extract: no model is configured; these are quotations]\n\n",
}
_NO_MODEL = {
    True: (
        "【离线模式】现在没有配置大模型，无法自由对话。\n\n"
        "请管理员在 config.ini 的 [model_setting] 中填写任一厂商的密钥（例如 "
        "`ZHIPU-API.API_KEY` 或 `DEEPSEEK-API.API_KEY`），或设置 `CUSTOM-API.BASE_URL` "
        "指向任何兼容 OpenAI 的服务，然后重新启动。\n\n"
        "知识库问答在离线模式下仍可使用：它会直接摘录资料原文。"
    ),
    False: (
        "[Offline mode] No model is configured, so there is no free conversation.\n\n"
        "Your administrator can set a vendor's key in config.ini under [model_setting] (for "
        "example `OPENAI-API.API_KEY` or `DEEPSEEK-API.API_KEY`), or point "
        "`CUSTOM-API.BASE_URL` at any OpenAI-compatible server, and restart.\n\n"
        "Knowledge base questions work offline too: they are answered with quotations."
    ),
}
_NOTHING = {
    True: "【离线模式】知识库中没有找到与问题相关的资料，且未配置大模型，因此无法回答。"
    "请换个问法，或请管理员配置模型。",
    False: "[Offline mode] The knowledge base holds nothing about this, and no model is "
    "configured to answer without it. Ask differently, or have a model configured.",
}


def without_model(query: str) -> str:
    """What free chat gets: that there is no model, and how to set one."""
    return _NO_MODEL[_is_chinese(query)]


def extract(query: str, passages: Sequence[str]) -> list[str]:
    """The answer in pieces: its label, then the best sentences in order, each with its [n]."""
    chinese = _is_chinese(query)
    best = _best_sentences(query, passages)
    if not best:
        return [_NOTHING[chinese]]
    return [_LABEL[chinese], *(f"{sentence} [{number}]\n\n" for number, sentence in best)]


def relevance(query: str, texts: Sequence[str]) -> list[float]:
    """How well each text fits the query, by the words and characters that they share."""
    terms = [_terms(text) for text in texts]
    found_in = Counter(term for each in terms for term in each)
    wanted = _terms(query)
    return [
        sum(math.log(1 + len(texts) / found_in[term]) for term in wanted & each)
        / math.sqrt(8 + len(each))
        for each in terms
    ]


def _best_sentences(query: str, passages: Sequence[str]) -> list[tuple[int, str]]:
    sentences = [
        (number, sentence)
        for number, passage in enumerate(passages, 1)
        for sentence in _sentences(passage)
    ]
    scores = relevance(query, [sentence for _, sentence in sentences])
    order = sorted(range(len(sentences)), key=lambda i: (-scores[i], i))
    top = scores[order[0]] if order else 0
    chosen = {i for i in order[:_MOST_SENTENCES] if scores[i] > top / 2} or set(order[:1])
    return [sentences[i] for i in sorted(chosen)]


def _sentences(passage: str) -> list[str]:
    """Short ones together with the next, as they seldom say enough alone.

    Without the title that a passage may begin with: it has the question's words, no answer.
    """
    title = _TITLE.match(passage)
    text = passage[title.end() :] if title else passage
    found: list[str] = []
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(text))):
        if found and len(found[-1]) < _SHORT:
            found[-1] = f"{found[-1]}{'' if _CJK.match(sentence) else ' '}{sentence}"
        elif len(sentence) > 1:
            found.append(sentence)
    return [sentence[:_MOST_CHARS] for sentence in dict.fromkeys(found)]


def _terms(text: str) -> set[str]:
    """Latin words, Chinese characters and pairs of them."""
    terms = {word.lower() for word in _LATIN.findall(text)}
    for run in _CJK.findall(text):
        terms.update(run, (run[i : i + 2] for i in range(len(run) - 1)))
    return terms


def _is_chinese(text: str) -> bool:
    return bool(_CJK.search(text))
