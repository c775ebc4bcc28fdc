"""Makes the documents of this folder anew: `python -m tests.kb_service.files.make`.

It needs LibreOffice (writer, calc, impress) and the font Noto Sans CJK. All tell of the same leave,
so that one test reads all of them.
"""

import io
import subprocess
import tempfile
from datetime import date
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdfium2
from PIL import Image, ImageDraw, ImageFont
from pptx.util import Inches

FOLDER = Path(__file__).parent
FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
TABLE = [["级别", "天数", "审批人"], ["职员", "10", "主管"], ["经理", "15", "总监"]]
RULE = "员工每年享有带薪年假，天数按级别确定，须提前三个工作日在系统中提交申请。"
TEXTS = {
    "doc": "doc:MS Word 97",
    "docx": "docx:MS Word 2007 XML",
    "odt": "odt",
    "rtf": "rtf",
    "html": "html:HTML (StarWriter)",
    "epub": "epub",
    "pdf": 'pdf:writer_pdf_Export:{"ExportBookmarks":{"type":"boolean","value":"true"}}',
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _manual(folder / "manual.docx")
        for target in TEXTS.values():
            _convert(folder / "manual.docx", target)
        _staff(folder / "staff.xlsx")
        for target in ("xls:MS Excel 97", "xlsx:Calc MS Excel 2007 XML"):
            _convert(folder / "staff.xlsx", target)
        _product(folder / "product.pptx")
        for target in ("ppt:MS PowerPoint 97", "pptx:Impress MS PowerPoint 2007 XML"):
            _convert(folder / "product.pptx", target)
    _scans()
    (FOLDER / "mail.eml").write_bytes(_mail().as_bytes(policy=SMTP))


def _manual(path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("员工手册", style="Title")
    document.add_paragraph("本手册适用于全体员工，自二〇二四年一月一日起施行。")
    document.add_paragraph("第三章 休假", style="Heading 1")
    document.add_paragraph("3.2 年假", style="Heading 2")
    document.add_paragraph(RULE + "The rule is valid for all employees.")
    table = document.add_table(len(TABLE), len(TABLE[0]), style="Table Grid")
    for line, row in zip(table.rows, TABLE, strict=True):
        for cell, text in zip(line.cells, row, strict=True):
            cell.text = text
    document.add_paragraph("未休年假可顺延至次年三月底。")
    document.add_page_break()  # type: ignore[no-untyped-call]  # the library has no type for it
    document.add_paragraph("第四章 报销", style="Heading 1")
    document.add_paragraph("差旅费凭发票报销，每月二十五日前提交。")
    document.save(str(path))


def _staff(path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "员工"
    sheet.append(["二〇二四年员工表"])
    sheet.merge_cells("A1:D1")
    sheet.append(["姓名", "部门", "入职日期", "工资"])
    sheet.append(["张三", "研发", date(2020, 3, 1), 12000])
    sheet.append(["李四", "市场", date(2021, 7, 15), 9800.5])
    questions = workbook.create_sheet("问答")
    questions.append(["问题", "回答"])
    questions.append(["年假有几天？", RULE * 4])
    workbook.save(path)


def _product(path: Path) -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "休假制度"
    slide.placeholders[1].text = f"{RULE}\n未休年假可顺延。"
    slide.notes_slide.notes_text_frame.text = "这一页讲三分钟。"
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "年假天数"
    box = slide.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(1))
    for number, row in enumerate(TABLE):
        for column, text in enumerate(row):
            box.table.cell(number, column).text = text
    presentation.save(str(path))


def _convert(document: Path, target: str) -> None:
    profile = (document.parent / "profile").as_uri()
    command = ["soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", target]
    subprocess.run([*command, "--outdir", str(FOLDER), str(document)], check=True)


def _scans() -> None:
    """What a scanner makes of the first page: pictures, and a PDF of one."""
    page = pypdfium2.PdfDocument(FOLDER / "manual.pdf")[0].render(scale=110 / 72).to_pil()
    grey = page.convert("L").rotate(0.4, fillcolor=255)
    grey.crop((0, 0, grey.width, grey.height // 2)).save(FOLDER / "scan.jpg", quality=60)
    grey.save(FOLDER / "scan.pdf", resolution=110, quality=50)
    line = Image.new("L", (900, 450), 255)  # a strip is enlarged, and takes four times as long
    ImageDraw.Draw(line).text((20, 30), RULE[:22], font=ImageFont.truetype(FONT, 36), fill=0)
    for suffix in ("png", "webp"):
        line.save(FOLDER / f"line.{suffix}")
    line.convert("1").save(FOLDER / "line.bmp")
    second = Image.new("L", line.size, 255)
    ImageDraw.Draw(second).text((20, 30), "第二页", font=ImageFont.truetype(FONT, 36), fill=0)
    line.convert("1").save(
        FOLDER / "line.tif",
        save_all=True,
        append_images=[second.convert("1")],
        compression="group4",
    )


def _mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "人事部 <hr@example.com>"
    message["To"] = "全体员工 <all@example.com>"
    message["Date"] = "Mon, 08 Jan 2024 09:30:00 +0800"
    message["Subject"] = "关于年假的通知"
    message.set_content(f"{RULE}\n\n人事部\n", charset="gb2312")
    message.add_alternative(f"<p>{RULE}</p><p>人事部</p>", subtype="html")
    workbook = io.BytesIO((FOLDER / "staff.xlsx").read_bytes()[:512])
    message.add_attachment(
        workbook.read(), maintype="application", subtype="octet-stream", filename="员工表.xlsx"
    )
    return message


if __name__ == "__main__":
    main()
