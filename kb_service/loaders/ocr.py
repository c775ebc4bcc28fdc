"""Text off pictures, by the models in RapidOCR's wheel: nothing is downloaded."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from kb_service.entities import ParseOptions

_INSTALL = (
    "未安装文字识别组件，请管理员执行 make ocr 并重启后重试。"
    "OCR is not installed: make ocr, then start again."
)
_SCORE_MIN = 0.5


def is_installed() -> bool:
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def why_not(options: ParseOptions) -> str:
    """Why a picture was not read, for its owner."""
    if not options.ocr:
        return "文字识别已关闭。OCR is switched off for this file."
    if not is_installed():
        return _INSTALL
    most = options.ocr_pages_max
    return f"文字识别最多 {most} 页。At most {most} pages of a file are read by OCR."


def read(picture: Any) -> str:
    """The lines of an image (PIL), from the top."""
    import numpy as np

    found = _engine()(np.asarray(picture)[:, :, ::-1])  # it takes blue first
    if found.txts is None:
        return ""
    boxes = [
        _Box(text, float(box[:, 1].mean()), float(np.ptp(box[:, 1])), *_ends(box[:, 0]))
        for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        if score >= _SCORE_MIN
    ]
    return "\n".join(_lines(boxes))


@dataclass(frozen=True, slots=True)
class _Box:
    text: str
    middle: float
    height: float
    left: float
    right: float


def _ends(across: Any) -> tuple[float, float]:
    return float(across.min()), float(across.max())


def _lines(boxes: list[_Box]) -> list[str]:
    """Boxes at one height are one line."""
    lines: list[list[_Box]] = []
    for box in sorted(boxes, key=lambda box: box.middle):
        if lines and box.middle - lines[-1][0].middle < lines[-1][0].height / 2:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [_joined(sorted(line, key=lambda box: box.left)) for line in lines]


def _joined(line: list[_Box]) -> str:
    """With a space where there is one to be seen, or where Latin words meet."""
    text = line[0].text
    for one, other in pairwise(line):
        is_apart = other.left - one.right > one.height
        is_latin = one.text[-1:].isascii() or other.text[:1].isascii()
        text += f" {other.text}" if is_apart or is_latin else other.text
    return text


@cache
def _engine() -> Any:
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    found = {
        f"{part}.model_path": str(next(models.glob(f"*_{part.lower()}_*.onnx")))
        for part in ("Det", "Rec", "Cls")
    }
    return rapidocr.RapidOCR(params={"Global.log_level": "error"} | threads | found)
