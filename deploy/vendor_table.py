"""`make docs`: which model vendor is tested how, from what the tests play back."""

from pathlib import Path

from chat_service.vendors import PRESETS
from tests.fakes.dialects import ERRORS, SPOKEN, Spoken

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "vendors.md"
_HEAD = """\
# Vendors 模型厂商

<!-- Written by `make docs` from tests/fakes/dialects.py. 由 make docs 生成，请勿手工修改。 -->

✓: tested against its documented dialect, which a scripted server plays back; no vendor is called in
tests. –: the vendor documents no such error. *untested*: nobody has looked. `POST
/admin/models/{name}/test` really asks.

✓ 表示已按厂商文档所述的格式测试（由脚本服务器回放，测试中不会真正调用厂商）；
– 表示厂商文档中没有此类错误；*untested* 表示尚未测试。
`POST /admin/models/{name}/test` 会真正调用一次。
"""
_KINDS = {
    "key": "wrong key 密钥错误",
    "no_model": "no such model 模型不存在",
    "quota": "out of quota 额度用尽",
    "busy": "busy 繁忙",
    "filtered": "content filter 内容过滤",
    "too_long": "too long 超长",
    "down": "down 故障",
    "midway": "error in the stream 流中出错",
}
assert _KINDS.keys() == ERRORS.keys(), "every kind of error has its column"
_UNTESTED = "*untested*"


def document() -> str:
    titles = ["preset 预设", "stream 流式", "whole 非流式", *_KINDS.values(), "fallback 备用"]
    rows = ["| " + " | ".join(titles) + " | temperature |", "|---" * (len(titles) + 1) + "|"]
    rows += [_row(preset, SPOKEN.get(preset)) for preset in PRESETS]
    sources = [f"- `{preset}`: <{spoken.documentation}>" for preset, spoken in SPOKEN.items()]
    also = [
        f"- `{preset}`: {', '.join(spoken.also)}"
        for preset, spoken in SPOKEN.items()
        if spoken.also
    ]
    return "\n".join(
        [
            _HEAD,
            *rows,
            "\nAlso tested 另外测试了:\n",
            *also,
            "\nWhere the dialects are documented 文档出处:\n",
            *sources,
            "",
        ]
    )


def _row(preset: str, spoken: Spoken | None) -> str:
    if spoken is None:
        return f"| `{preset}` |" + f" {_UNTESTED} |" * (len(_KINDS) + 4)
    cells = ["✓", "✓", *(_cell(kind, spoken) for kind in _KINDS), "✓"]
    lowest, highest = spoken.temperatures
    return f"| `{preset}` | " + " | ".join(cells) + f" | {lowest:g} – {highest:g} |"


def _cell(kind: str, spoken: Spoken) -> str:
    if kind in spoken.without:
        return "–"
    return "✓" if kind in spoken.errors else _UNTESTED


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
