"""Text off pictures, by the models in RapidOCR's wheel: nothing is downloaded."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kb_service.entities import ParseOptions

_INSTALL = (
    "未安装文字识别组件，请管理员执行 pip install rapidocr onnxruntime 后重试。"
    "OCR is not installed: pip install rapidocr onnxruntime."
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
        (float(box[:, 1].mean()), float(box[:, 0].min()), float(np.ptp(box[:, 1])), text)
        for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        if score >= _SCORE_MIN
    ]
    return "\n".join(_lines(boxes))


def _lines(boxes: list[tuple[float, float, float, str]]) -> list[str]:
    """Boxes are (middle, left, height, text); those at one height are one line."""
    lines: list[list[tuple[float, float, float, str]]] = []
    for box in sorted(boxes):
        if lines and box[0] - lines[-1][0][0] < lines[-1][0][2] / 2:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [" ".join(box[3] for box in sorted(line, key=lambda box: box[1])) for line in lines]


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
