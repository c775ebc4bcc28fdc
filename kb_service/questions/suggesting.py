"""Questions that a document answers, from its headings."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from kb_service.entities import Heading
from kb_service.question_keys import question_key

_LENGTHS = range(2, 61)
# What is counted or measured is no number of a heading: 「24 小时服务」.
_MEASURES = "年月日号天个小时分秒度级種种项條条次步大类類期届岁元万亿倍折人位家名点點层層楼款"
_NUMBER = re.compile(
    r"\A(?:第\s*[0-9零〇一二三四五六七八九十百千]+\s*[章节節条條款部篇编編卷回讲講课課]"
    r"|[(（]\s*[0-9一二三四五六七八九十]+\s*[)）]|[一二三四五六七八九十]+\s*[、.．]"
    r"|附[录錄件表]\s*[0-9a-z一二三四五六七八九十]*"
    r"|(?:chapter|section|part|appendix|step)\s+(?:[0-9ivxlc]+|[a-z])\b"
    r"|[0-9]{1,3}(?:[.．-][0-9]{1,3})+[.．、)）:：]?(?![0-9%])|[0-9]{1,3}\s*[.．、)）:：](?![0-9%])"
    rf"|[0-9]{{1,2}}(?:\s+(?=[^\W\d])|(?=[\u3400-\u9fff]))(?![{_MEASURES}])"
    r"|[ivxlc]+[.)]|[a-z][.)])[\s:：、.．-]*",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"[?？]\s*\Z|什么|甚么|什麼|怎么|怎麼|怎样|怎樣|如何|为何|為何|为啥|哪[些里裡个個种種]|多少|几[天个次]|能否|是否|可否"
    r"|[吗嗎呢]\s*\Z"
    r"|\A(?:how|what|why|when|where|which|who|whose|can|could|do|does|is|are|should|may)\b",
    re.IGNORECASE,
)
# What stands over a part of nearly every document, and asks nothing without the rest of it.
_EVERYWHERE = {
    *(
        "目录",
        "前言",
        "序言",
        "引言",
        "概述",
        "概要",
        "概览",
        "简介",
        "介绍",
        "说明",
        "总则",
        "附则",
        "正文",
    ),
    *(
        "背景",
        "目的",
        "范围",
        "适用范围",
        "定义",
        "术语",
        "参考",
        "参考文献",
        "参考资料",
        "总结",
        "小结",
        "结论",
    ),
    *(
        "示例",
        "例子",
        "备注",
        "注意",
        "注意事项",
        "其他",
        "其它",
        "更新日志",
        "修订记录",
        "版本历史",
        "问题",
        "答案",
    ),
    *(
        "contents",
        "table of contents",
        "preface",
        "introduction",
        "overview",
        "summary",
        "background",
    ),
    *(
        "purpose",
        "scope",
        "definitions",
        "references",
        "conclusion",
        "appendix",
        "index",
        "example",
    ),
    *("examples", "note", "notes", "others", "miscellaneous", "changelog", "see also", "about"),
}
_CHINESE_ACTIONS = (
    *(
        "申请",
        "办理",
        "提交",
        "填写",
        "安装",
        "部署",
        "配置",
        "设置",
        "启动",
        "运行",
        "使用",
        "创建",
        "新建",
        "添加",
    ),
    *(
        "删除",
        "修改",
        "更新",
        "升级",
        "备份",
        "恢复",
        "导入",
        "导出",
        "上传",
        "下载",
        "登录",
        "注册",
        "接入",
        "连接",
    ),
    *(
        "查看",
        "查询",
        "报销",
        "预订",
        "取消",
        "启用",
        "停用",
        "重置",
        "管理",
        "编写",
        "开发",
        "测试",
        "选择",
        "联系",
    ),
    *("处理", "解决", "排查", "优化", "迁移", "验证", "签发", "扩容"),
)
# A thing that begins or ends like an action: 「使用说明」, 「安装步骤」 are no actions.
_CHINESE_THINGS = re.compile(
    r"(?:说明|手册|指南|步骤|流程|方法|方式|要求|条件|规定|规则|制度|标准|范围|原则|问题|记录|日志|文档|工具|系统|平台|"
    r"环境|参数|权限|费|费用|时间|期限|表|单|书|办法|细则|政策|中心|部|部门|人员|经理|员|团队|架构|案例)\Z"
)
_ENGLISH_ACTIONS = re.compile(
    r"\A(?:apply|install|configure|set up|start|run|use|create|add|delete|remove|change|update"
    r"|upgrade|back up|restore|import|export|upload|download|log in|sign in|register|connect|view"
    r"|find|book|cancel|enable|disable|reset|manage|write|build|deploy|test|choose|contact|handle"
    r"|migrate|verify|submit|request|report|get|make)\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question, and the heading that it is made from."""

    query: str
    file_name: str
    title: str


def suggestions(
    headings: Iterable[Heading], known: Collection[str], number: int
) -> list[Suggestion]:
    """At most so many questions whose keys are not `known`, from each file in turn."""
    by_file: dict[str, list[Heading]] = {}
    for heading in headings:
        by_file.setdefault(heading.file_name, []).append(heading)
    seen, found = set(known), list[Suggestion]()
    for heading in _in_turn(by_file.values()):
        if len(found) >= number:
            break
        query = question_of(heading.title.rpartition(" > ")[2])
        key = question_key(query) if query else None
        if query and key and key not in seen:
            seen.add(key)
            found.append(Suggestion(query, heading.file_name, heading.title))
    return found


def question_of(heading: str) -> str | None:
    """What somebody would ask whom the text under this heading answers; None when nobody would."""
    text = " ".join(heading.split())
    text = _NUMBER.sub("", text, count=1).strip(" .。:：;；,，*#_`—-")
    if len(text) not in _LENGTHS or not re.search(r"[^\W\d_]", text):
        return None
    if text.casefold().rstrip("?？") in _EVERYWHERE:
        return None
    is_chinese = _CHINESE.search(text) is not None
    if _ASKS.search(text):
        return text.rstrip("?？ ") + ("？" if is_chinese else "?")
    return _chinese(text) if is_chinese else _english(text)


def _chinese(text: str) -> str:
    is_action = text.startswith(_CHINESE_ACTIONS) and not _CHINESE_THINGS.search(text)
    return f"如何{text}？" if is_action else f"{text}是什么？"


def _english(text: str) -> str:
    if _ENGLISH_ACTIONS.match(text):
        return f"How do I {text[0].lower()}{text[1:]}?"
    return f"What should I know about {text}?"


def _in_turn(files: Iterable[list[Heading]]) -> Iterator[Heading]:
    for row in zip_longest(*files):
        yield from (heading for heading in row if heading is not None)
