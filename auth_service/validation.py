"""What operators may write: names, origins, limits, lists of knowledge bases. All raise Invalid."""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from limits import parse_many

from servicekit.errors import Invalid

LIMIT_CLASSES = ("chat", "search", "upload", "login")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,19}", re.ASCII)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_ORIGINS = 50
_MAX_NAMES = 100
_MAX_NAMES_BYTES = 8192


def name_of(text: str) -> str:
    return _line(text, 1, 50, "A name", "名称")


def description_of(text: str) -> str:
    return _line(text, 0, 200, "A description", "描述")


def user_id_of(text: str) -> str:
    """As it is: host apps choose their users' ids."""
    if not 1 <= len(text) <= 64 or not _PRINTABLE.fullmatch(text):
        raise Invalid(
            "A user id has 1 to 64 printable characters. 用户编号须为 1 至 64 个可见字符。"
        )
    return text


def kind_of(text: str) -> str:
    if not _KIND.fullmatch(text):
        raise Invalid(
            "A kind is a lower-case word of at most 20 characters."
            " 类型须为不超过 20 个字符的小写英文。"
        )
    return text


def groups_of(groups: Sequence[str]) -> list[str]:
    if len(groups) > 50:
        raise Invalid("A user has at most 50 groups. 每个用户最多 50 个分组。")
    return _unique([_line(group, 1, 64, "A group", "分组") for group in groups])


def origins_of(origins: Sequence[str]) -> list[str]:
    """As browsers send them: lower case, without a default port."""
    if len(origins) > _MAX_ORIGINS:
        raise Invalid(
            f"A client has at most {_MAX_ORIGINS} origins. 每个客户端最多 {_MAX_ORIGINS} 个来源。"
        )
    return _unique([_origin(text) for text in origins])


def limits_of(limits: Mapping[str, str]) -> dict[str, str]:
    return {_limit_class(name): _rate(rate) for name, rate in limits.items()}


def knowledge_bases_of(names: Sequence[str] | None) -> list[str] | None:
    """None confines to nothing, an empty list to no knowledge base at all."""
    if names is None:
        return None
    if len(names) > _MAX_NAMES or len(json.dumps(names).encode()) > _MAX_NAMES_BYTES:
        raise Invalid(
            "A list of knowledge bases has at most 100 names and 8 KiB."
            " 知识库列表最多 100 个名称、8 KiB。"
        )
    return _unique([_line(name, 1, 255, "A knowledge base's name", "知识库名称") for name in names])


def _line(text: str, shortest: int, longest: int, what: str, chinese: str) -> str:
    line = text.strip()
    if not shortest <= len(line) <= longest or not _PRINTABLE.fullmatch(line):
        bounds, dan = f"{shortest} to {longest}", f"须为 {shortest} 至 {longest} 个可见字符"
        if not shortest:
            bounds, dan = f"at most {longest}", f"最多 {longest} 个可见字符"
        raise Invalid(f"{what} has {bounds} printable characters. {chinese}{dan}。")
    return line


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text.strip().lower())
        scheme, host, port = parts.scheme, parts.netloc, parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if port is not None:
        host = host.removesuffix(f":{port}")
    known = scheme in _DEFAULT_PORTS and _HOST.fullmatch(host)
    if not known or parts.path or "?" in text or "#" in text:
        raise Invalid(
            f"{text[:100]!r} is not an origin: write https://host or https://host:port, without a"
            " path. 来源须为 https://主机 或 https://主机:端口，不含路径。"
        )
    return f"{scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}")


def _limit_class(name: str) -> str:
    if name not in LIMIT_CLASSES:
        raise Invalid(
            f"{name[:50]!r} has no limit: known are {', '.join(LIMIT_CLASSES)}."
            f" 限流类别只能是 {'、'.join(LIMIT_CLASSES)}。"
        )
    return name


def _rate(text: str) -> str:
    """A rate as the `limits` library writes it, or off."""
    rate = text.strip().lower()
    if rate == "off":
        return rate
    try:
        parsed, *more = parse_many(rate[:100])
    except ValueError:
        raise _not_a_rate(text) from None
    if more or not 1 <= parsed.amount <= 10**9 or not 1 <= parsed.multiples <= 10**6:
        raise _not_a_rate(text)
    return rate


def _not_a_rate(text: str) -> Invalid:
    return Invalid(
        f"{text[:50]!r} is not a rate: write 60/minute or off. 限流须写作 60/minute 或 off。"
    )


def _unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))
