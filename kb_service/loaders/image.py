"""Pictures of text."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from kb_service.loaders import LoadFault, Reading, Section, ocr
from kb_service.loaders.pdf import unwrap

_PIXELS_MAX = 80_000_000
_SIDE_MAX = 4_000
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


def load(path: Path, reading: Reading) -> Iterator[Section]:
    options = reading.options
    if not options.ocr or options.ocr_pages_max < 1 or not ocr.is_installed():
        raise LoadFault(ocr.why_not(options))
    try:
        image = Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise _too_large() from None
    except (UnidentifiedImageError, OSError):
        raise LoadFault("图片已损坏。The image is damaged.") from None
    return _frames(image, reading)


def _frames(image: Image.Image, reading: Reading) -> Iterator[Section]:
    total = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    read = min(total, reading.options.ocr_pages_max)
    for number in range(1, read + 1):
        text = ocr.read(_picture(image, number - 1))
        if text:
            yield Section(unwrap(text), {"page": number} if total > 1 else {})
        reading.progress(number, total)
    if read < total:
        reading.notes.append(
            f"共 {total} 页，只识别了 {read} 页。Of {total} pages, {read} were read."
        )


def _picture(image: Image.Image, index: int) -> Image.Image:
    try:
        image.seek(index)
        if image.width * image.height > _PIXELS_MAX:
            raise _too_large()
        picture = ImageOps.exif_transpose(image)
        if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
            layered = picture.convert("RGBA")
            picture = Image.new("RGBA", layered.size, "white")
            picture.alpha_composite(layered)
        picture = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError):
        raise LoadFault("图片已损坏。The image is damaged.") from None
    picture.thumbnail((_SIDE_MAX, _SIDE_MAX))
    return picture


def _too_large() -> LoadFault:
    return LoadFault(
        f"图片超过 {_PIXELS_MAX // 1_000_000} 百万像素。"
        f"The image has more than {_PIXELS_MAX // 1_000_000} million pixels."
    )
