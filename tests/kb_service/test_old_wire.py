"""Each row of the old wire about knowledge bases, byte for byte.

Times and scores, which change, are put as `T` and `S`.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, READER, Kb, connected

Make = Callable[..., KbSettings]
P = "/knowledge_base"
NAMED = {"knowledge_base_name": "kb1"}
CSV = ("a.csv", "姓名,年假\n小明,十天\n".encode())
ATTACK = '{"code":403,"msg":"Don\'t attack me","data":null}'
Ask = Callable[[Kb], Awaitable[httpx.Response]]
Row = tuple[str, Ask, int, str]


def get(path: str, **params: Any) -> Ask:
    return lambda kb: kb.get(path, READER, **params)


def post(path: str, body: Any) -> Ask:
    return lambda kb: kb.post(path, body)


def upload(*files: tuple[str, bytes], name: str = "kb1", **fields: str) -> Ask:
    return lambda kb: kb.upload(*files, kb=name, who=ADMIN, **fields)


def ok(data: str = "null", msg: str = "success") -> str:
    return f'{{"code":200,"msg":"{msg}","data":{data}}}'


def no(code: int, msg: str, data: str = "null") -> str:
    return f'{{"code":{code},"msg":"{msg}","data":{data}}}'


def missing(*fields: str, place: str = "body") -> str:
    items = (
        f'{{"loc":["{place}","{field}"],"msg":"Field required","type":"missing"}}'
        for field in fields
    )
    return f'{{"detail":[{",".join(items)}]}}'


def new(name: str, **more: Any) -> dict[str, Any]:
    return {"knowledge_base_name": name, "kb_zh_name": "库一", "kb_info": "说明"} | more


KB1 = (
    '{"kb_name":"kb1","kb_zh_name":"库一","kb_info":"说明","vs_type":"qdrant",'
    '"embed_model":"lexical","file_count":1,"create_time":"T"}'
)
FOUND = (
    '[{"page_content":"姓名: 小明\\n年假: 十天","metadata":{"source":"a.csv","row":0},'
    '"type":"Document","score":S}]'
)
DONE = '{"code":200,"msg":"文件上传与向量化完成","data":{"failed_files":%s}}'
QUESTION = (
    '{"id":1,"query":"年假几天？","kb_name":"kb1","answer":null,"tap_count":0,"enable":true,'
    '"create_time":"T"}'
)
UNKNOWN, NO_ONE = {"knowledge_base_name": "none"}, "未找到知识库 none"
HOSTILE = {"knowledge_base_name": "../x"}

# In this order: the rows before make what the rows behind ask about.
ROWS: list[Row] = [
    ("no knowledge base", get(f"{P}/list_knowledge_bases"), 200, ok("[]")),
    ("nor in the other list", get(f"{P}/list_knowledge_bases_v2"), 200, ok("[]")),
    ("made", post(f"{P}/create_knowledge_base", new("kb1")), 200, ok(msg="已新增知识库 kb1")),
    (
        "made twice",
        post(f"{P}/create_knowledge_base", new("kb1", vector_store_type="milvus")),
        200,
        no(404, "已存在同名知识库 kb1"),
    ),
    (
        "without a name",
        post(f"{P}/create_knowledge_base", new("")),
        200,
        no(404, "知识库名称不能为空，请重新填写知识库名称"),
    ),
    ("a hostile name", post(f"{P}/create_knowledge_base", new("../x")), 200, ATTACK),
    (
        "of no known kind",
        post(f"{P}/create_knowledge_base", new("kb2", vector_store_type="x")),
        200,
        no(500, "创建知识库出错： 未知的向量库类型 x"),
    ),
    (
        "as upstream did it",
        post(f"{P}/create_knowledge_base", {"knowledge_base_name": "kb2"}),
        422,
        missing("kb_zh_name", "kb_info"),
    ),
    ("listed", get(f"{P}/list_knowledge_bases"), 200, ok('["kb1"]')),
    ("uploaded", upload(CSV), 200, DONE % "{}"),
    ("there already", upload(CSV), 200, DONE % '{"a.csv":"文件 a.csv 已存在。"}'),
    (
        "of no known format",
        upload(("a.exe", b"x")),
        200,
        DONE % '{"a.exe":"加载文档 a.exe 时出错：暂未支持的文件格式 .exe"}',
    ),
    (
        "with docs that are no JSON",
        upload(CSV, docs="{"),
        422,
        '{"detail":[{"loc":["body","docs"],"msg":"Invalid JSON: EOF while parsing an object at '
        'line 1 column 1","type":"json_invalid","input":{},"ctx":{"error":"EOF while parsing an '
        'object at line 1 column 1"}}]}',
    ),
    ("uploaded to none", upload(CSV, name="none"), 200, no(404, NO_ONE)),
    ("uploaded to a hostile one", upload(CSV, name="../x"), 200, ATTACK),
    (
        "uploaded without files",
        lambda kb: kb.http.post(f"{P}/upload_docs", data=NAMED, files={}, headers=ADMIN),
        422,
        missing("files"),
    ),
    ("listed with its file", get(f"{P}/list_knowledge_bases_v2"), 200, ok(f"[{KB1}]")),
    ("files", get(f"{P}/list_files", **NAMED), 200, ok('["a.csv"]')),
    ("files of none", get(f"{P}/list_files", **UNKNOWN), 200, no(404, NO_ONE, "[]")),
    (
        "files of a hostile one",
        get(f"{P}/list_files", **HOSTILE),
        200,
        ATTACK.replace("null", "[]"),
    ),
    ("files of which", get(f"{P}/list_files"), 422, missing("knowledge_base_name", place="query")),
    ("searched", post(f"{P}/search_docs", NAMED | {"query": "小明年假", "unknown": 1}), 200, FOUND),
    ("found nothing", post(f"{P}/search_docs", NAMED | {"query": "量子力学"}), 200, "[]"),
    ("searched none", post(f"{P}/search_docs", UNKNOWN | {"query": "年假"}), 200, "[]"),
    ("searched a hostile one", post(f"{P}/search_docs", HOSTILE | {"query": "年假"}), 200, "[]"),
    ("searched for what", post(f"{P}/search_docs", NAMED), 422, missing("query")),
    (
        "updated",
        post(f"{P}/update_docs", NAMED | {"file_names": ["a.csv"], "docs": "{}"}),
        200,
        '{"code":200,"msg":"更新文档完成","data":{"failed_files":{}}}',
    ),
    (
        "updated what is not there",
        post(f"{P}/update_docs", NAMED | {"file_names": ["b.csv"]}),
        200,
        '{"code":200,"msg":"更新文档完成","data":{"failed_files":'
        '{"b.csv":"加载文档 b.csv 时出错：未找到文件 b.csv"}}}',
    ),
    (
        "updated with docs as an object",
        post(f"{P}/update_docs", NAMED | {"file_names": [], "docs": {}}),
        422,
        '{"detail":[{"loc":["body","docs"],"msg":"JSON input should be string, bytes or '
        'bytearray","type":"json_type"}]}',
    ),
    (
        "updated in none",
        post(f"{P}/update_docs", UNKNOWN | {"file_names": []}),
        200,
        no(404, NO_ONE),
    ),
    (
        "updated in a hostile one",
        post(f"{P}/update_docs", HOSTILE | {"file_names": []}),
        200,
        ATTACK,
    ),
    (
        "the information changed",
        post(f"{P}/update_info", NAMED | {"kb_info": "新 “说明”"}),
        200,
        ok('{"kb_info":"新 “说明”"}', "知识库介绍修改完成"),
    ),
    (
        "the information of none",
        post(f"{P}/update_info", UNKNOWN | {"kb_info": ""}),
        200,
        no(404, NO_ONE),
    ),
    (
        "the information of a hostile one",
        post(f"{P}/update_info", HOSTILE | {"kb_info": ""}),
        200,
        ATTACK,
    ),
    (
        "the name changed",
        post(f"{P}/update_zh_name", NAMED | {"kb_zh_name": "新名"}),
        200,
        ok('{"kb_zh_name":"新名"}', "知识库中文名修改完成"),
    ),
    (
        "the name of none",
        post(f"{P}/update_zh_name", UNKNOWN | {"kb_zh_name": "新"}),
        200,
        no(404, NO_ONE),
    ),
    (
        "the name of a hostile one",
        post(f"{P}/update_zh_name", HOSTILE | {"kb_zh_name": "新"}),
        200,
        ATTACK,
    ),
    ("downloaded", get(f"{P}/download_doc", **NAMED, file_name="a.csv"), 200, CSV[1].decode()),
    (
        "downloaded what is not there",
        get(f"{P}/download_doc", **NAMED, file_name="b.csv"),
        200,
        no(500, "b.csv 读取文件失败"),
    ),
    (
        "downloaded what can be no file",
        get(f"{P}/download_doc", **NAMED, file_name="b.exe"),
        200,
        no(500, "b.exe 读取文件失败"),
    ),
    (
        "downloaded from none",
        get(f"{P}/download_doc", **UNKNOWN, file_name="a.csv"),
        200,
        no(404, NO_ONE),
    ),
    (
        "downloaded from a hostile one",
        get(f"{P}/download_doc", **HOSTILE, file_name="a.csv"),
        200,
        ATTACK,
    ),
    (
        "made anew",
        post(f"{P}/recreate_vector_store", NAMED | {"vs_type": "faiss"}),
        200,
        '{"code": 200, "msg": "(1 / 1): a.csv", "total": 1, "finished": 1, "doc": "a.csv"}',
    ),
    (
        "none made anew",
        post(f"{P}/recreate_vector_store", UNKNOWN | {"allow_empty_kb": False}),
        200,
        '{"code": 404, "msg": "未找到知识库 ‘none’"}',
    ),
    ("a hostile one made anew", post(f"{P}/recreate_vector_store", HOSTILE), 200, ATTACK),
    (
        "a question added",
        post("/recommend/question", {"query": "年假几天？", "kb_name": "kb1"}),
        200,
        ok("true"),
    ),
    (
        "a question changed",
        post("/recommend/question", {"question_id": "1", "query": "年假几天？", "kb_name": "kb1"}),
        200,
        ok("true"),
    ),
    (
        "no question changed",
        post("/recommend/question", {"question_id": 2, "query": "?"}),
        200,
        ok("false"),
    ),
    ("a question of nothing", post("/recommend/question", {}), 422, missing("query")),
    (
        "a question for none",
        post("/recommend/question", {"query": "?", "kb_name": "none"}),
        200,
        no(404, NO_ONE),
    ),
    ("questions", get("/recommend/question", num=6), 200, ok(f"[{QUESTION}]")),
    ("of one", get("/recommend/question", num=1, kb_name="kb1"), 200, ok(f"[{QUESTION}]")),
    ("of free chat", get("/recommend/question", num=1, kb_name=""), 200, ok("[]")),
    ("of none", get("/recommend/question", num=1, kb_name="none"), 200, ok("[]")),
    ("how many", get("/recommend/question"), 422, missing("num", place="query")),
    (
        "nothing to embed with",
        post("/other/embed_texts", {"texts": ["年假"]}),
        200,
        no(500, "指定的模型 m3e-base 不支持 Embeddings 功能。"),
    ),
    ("nothing to embed", post("/other/embed_texts", {}), 422, missing("texts")),
    (
        "deleted from the list",
        post(f"{P}/delete_docs", NAMED | {"file_names": ["a.csv", "b.csv", "x.exe"]}),
        200,
        '{"code":200,"msg":"文件删除完成","data":{"failed_files":'
        '{"b.csv":"未找到文件 b.csv","x.exe":"未找到文件 x.exe"}}}',
    ),
    ("files no more", get(f"{P}/list_files", **NAMED), 200, ok("[]")),
    (
        "deleted from none",
        post(f"{P}/delete_docs", UNKNOWN | {"file_names": []}),
        200,
        no(404, NO_ONE),
    ),
    (
        "deleted from a hostile one",
        post(f"{P}/delete_docs", HOSTILE | {"file_names": []}),
        200,
        ATTACK,
    ),
    (
        "an object removed",
        post(f"{P}/delete_knowledge_base", NAMED),
        422,
        '{"detail":[{"loc":["body"],"msg":"Input should be a valid string","type":"string_type"}]}',
    ),
    ("none removed", post(f"{P}/delete_knowledge_base", "none"), 200, no(404, NO_ONE)),
    ("a hostile one removed", post(f"{P}/delete_knowledge_base", "../x"), 200, ATTACK),
    ("removed", post(f"{P}/delete_knowledge_base", "kb1"), 200, ok(msg="成功删除知识库 kb1")),
    ("gone", get(f"{P}/list_knowledge_bases"), 200, ok("[]")),
    ("and its questions", get("/recommend/question", num=6), 200, ok("[]")),
]


def shown(answer: httpx.Response) -> str:
    text = re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"', '"T"', answer.content.decode())
    return re.sub(r'"score":\d\.\d+', '"score":S', text)


async def test_every_row_byte_for_byte(kb: Kb) -> None:
    different = {}
    for what, ask, status, expected in ROWS:
        answer = await ask(kb)
        if (answer.status_code, shown(answer)) != (status, expected):
            different[what] = (answer.status_code, shown(answer))
    assert different == {}


async def test_the_types_of_contents(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(CSV)
    for ask, kind in (
        (get(f"{P}/list_knowledge_bases"), "application/json"),
        (post(f"{P}/search_docs", NAMED | {"query": "年假"}), "application/json"),
        (post(f"{P}/recreate_vector_store", NAMED), "text/event-stream; charset=utf-8"),
        (get(f"{P}/download_doc", **NAMED, file_name="a.csv"), "multipart/form-data"),
    ):
        answer = await ask(kb)
        assert answer.headers["content-type"] == kind


async def test_bug_13_the_metadata_of_passages_is_kept_and_given_back(make_settings: Make) -> None:
    """Through a restart and a rebuild, in any shape that JSON has."""
    settings = make_settings()
    metadata: dict[str, Any] = {
        "source": "x",
        "作者": "小明",
        "tags": ["a", {"b": None}],
        "page": 3,
        "ok": True,
    }
    passage = {"page_content": "员工每年享有十天带薪年假。", "metadata": metadata}
    async with connected(settings) as kb:
        await kb.create()
        assert await kb.uploaded(("a.txt", b"x"), docs=json.dumps({"a.txt": [passage]})) == {}
        [found] = await kb.search("年假")
        assert found["metadata"] == metadata | {"source": "a.txt"}
    async with connected(settings) as kb:
        await kb.post(f"{P}/recreate_vector_store", NAMED)
        assert (await kb.search("年假"))[0] == found


async def test_bug_20_chunk_sizes_of_the_request_count(kb: Kb) -> None:
    await kb.create()
    text = ("a.txt", "".join(f"第{n}条员工每年享有带薪年假。" for n in range(100)).encode())
    for size in (60, 200):
        fields = {"chunk_size": str(size), "chunk_overlap": "0", "override": "true"}
        assert await kb.uploaded(text, **fields) == {}
        lengths = [len(one["page_content"]) for one in await kb.search("年假", top_k=100)]
        assert size * 0.6 < max(lengths) <= size
    body = NAMED | {"file_names": ["a.txt"], "chunk_size": 60, "chunk_overlap": 0}
    await kb.post(f"{P}/update_docs", body)
    assert max(len(one["page_content"]) for one in await kb.search("年假", top_k=100)) <= 60
    await kb.post(f"{P}/recreate_vector_store", NAMED | {"chunk_size": 90, "chunk_overlap": 0})
    lengths = [len(one["page_content"]) for one in await kb.search("年假", top_k=100)]
    assert 60 < max(lengths) <= 90


async def test_bug_20_thresholds_and_scores_are_of_one_scale(kb: Kb) -> None:
    """From 0 to 2 on both ways to ask, and what is found is never beyond the threshold."""
    await kb.create()
    await kb.uploaded(CSV, ("b.txt", "年假以外的各种事情，例如出差、报销、培训和会议。".encode()))
    for path in (f"{P}/search_docs", "/internal/search"):
        for threshold in (0, 0.5, 1, 1.5, 2):
            body: dict[str, Any] = NAMED | {
                "query": "年假有几天",
                "score_threshold": threshold,
                "top_k": 10,
            }
            answer = await kb.post(path, body)
            assert answer.status_code == 200, answer.text
            found = answer.json() if path.startswith(P) else answer.json()["passages"]
            assert all(0 <= one["score"] <= threshold for one in found)
        for wrong in (-0.1, 2.1):
            answer = await kb.post(path, body | {"score_threshold": wrong})
            assert answer.status_code == 422
