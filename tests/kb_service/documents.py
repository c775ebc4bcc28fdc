"""Real documents, made by the libraries that people make them with; PDFs are written by hand."""

import io
import zipfile
from collections.abc import Sequence

import docx
import openpyxl
import pptx
from pptx.util import Inches


def docx_file(*blocks: tuple[str, str], table: Sequence[Sequence[str]] = ()) -> bytes:
    """Blocks are (style, text), for example ("Heading 1", "...")."""
    document = docx.Document()
    for style, text in blocks:
        document.add_paragraph(text, style=style)
    if table:
        grid = document.add_table(len(table), len(table[0]))
        for number, row in enumerate(table):
            for cell, text in zip(grid.rows[number].cells, row, strict=True):
                cell.text = text
    return _saved(document)


def xlsx_file(sheets: dict[str, Sequence[Sequence[object]]]) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(workbook)


def pptx_file(*slides: tuple[str, str, str]) -> bytes:
    """Slides are (title, body, notes)."""
    presentation = pptx.Presentation()
    for title, body, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = title
        box = slide.shapes.add_textbox(Inches(1), Inches(2), Inches(5), Inches(1))
        box.text_frame.text = body
        slide.notes_slide.notes_text_frame.text = notes
    return _saved(presentation)


def pdf_file(*pages: Sequence[str], encrypted: bool = False) -> bytes:
    """Lines of ASCII text a page, in a standard font."""
    return pdf_of(
        *(
            b"BT /F1 12 Tf 14 TL 50 750 Td "
            + b" ".join(b"(" + line.encode() + b") Tj T*" for line in lines)
            + b" ET"
            for lines in pages
        ),
        encrypted=encrypted,
    )


def pdf_of(
    *contents: bytes,
    extra: bytes = b"",
    missing: Sequence[int] = (),
    title: str = "",
    encrypted: bool = False,
) -> bytes:
    """Pages of drawing commands with the font /F1; `extra` goes into each page's dictionary.

    Missing pages are named and not there; a title is an outline that leads to page 1.
    """
    objects = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for number, body in enumerate(contents, 1):
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body))
        page = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> %s >>" % (len(objects), extra)
        )
        objects.append(b"null" if number in missing else page)
        kids.append(b"%d 0 R" % len(objects))
    outline = b""
    if title:
        objects.append(b"<< /Type /Outlines /First %d 0 R /Count 1 >>" % (len(objects) + 2))
        outline = b"/Outlines %d 0 R" % len(objects)
        name = title.encode("utf-16-be").hex().encode()
        objects.append(b"<< /Title <feff%s> /Dest [%s /Fit] >>" % (name, kids[0]))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % outline
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    trailer = b""
    if encrypted:
        keys = (b"41" * 32, b"42" * 32)
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % keys)
        trailer = b" /ID [<00> <00>] /Encrypt %d 0 R" % len(objects)
    return _numbered(objects, trailer)


def _numbered(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (
        *(len(objects) + 1, trailer),
        start,
    )
    return bytes(out)


def zip_file(entries: dict[str, bytes], *, lie: bool = False) -> bytes:
    """An archive; a lying one says in its directory that every entry is tiny."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        if lie:
            for entry in archive.filelist:
                entry.file_size = 10
    return out.getvalue()


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]  # all three libraries name it so
    return out.getvalue()
