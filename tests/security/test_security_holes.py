"""The security holes of the old server (contract 5), one by one, through the front door."""

import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.routing import ROUTES
from tests.security.conftest import Fortress
from tests.stack import Client

HOSTILE_NAMES = (
    "../../etc/passwd.txt",
    "/etc/passwd.txt",
    "..\\..\\windows.txt",
    "a/../../b.txt",
    "CON.txt",
    "．．/b.txt",
)


@pytest.fixture
def visitor(fortress: Fortress) -> Iterator[httpx.Client]:
    """Somebody without any credential."""
    with httpx.Client(base_url=fortress.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def host(fortress: Fortress) -> Client:
    return fortress.client("a host app")


@pytest.fixture
def user(fortress: Fortress, host: Client) -> Iterator[httpx.Client]:
    token = fortress.token(host, fortress.user_id())
    with httpx.Client(base_url=fortress.url, headers={"Api-Token": token}, timeout=30) as client:
        yield client


def test_hole_1_no_route_without_an_identity(visitor: httpx.Client) -> None:
    for route in ROUTES:
        if not route.public and "{" not in route.path:
            answer = visitor.request(route.method, f"/api{route.path}", json={})
            assert answer.status_code == 401, route


def test_hole_2_a_token_speaks_for_its_own_client_only(
    fortress: Fortress, visitor: httpx.Client, host: Client
) -> None:
    other = fortress.client("another host app")
    for inner, outer in ((other.id, host), ("0", host)):
        token = fortress.token(outer, "boss", inner_client_id=inner)
        assert visitor.get("/user/info", headers={"Api-Token": token}).status_code == 401


def test_hole_2_a_client_that_signs_accepts_no_token_of_a_leaked_public_key(
    fortress: Fortress, visitor: httpx.Client
) -> None:
    """v2: what a host app registers can only check signatures."""
    leaked = fortress.client("one whose v1 key leaked")
    token = fortress.token(leaked, "boss")
    assert visitor.get("/user/info", headers={"Api-Token": token}).status_code == 200
    fortress.admin("DELETE", f"/admin/clients/{leaked.id}/v1-key")
    again = fortress.token(leaked, "boss")
    assert visitor.get("/user/info", headers={"Api-Token": again}).status_code == 401


def test_hole_3_disabled_is_disabled_and_the_future_is_refused(
    fortress: Fortress, visitor: httpx.Client
) -> None:
    client = fortress.client("soon disabled")
    early = fortress.token(client, "li", timestamp=4_000_000_000)
    assert visitor.get("/user/info", headers={"Api-Token": early}).status_code == 401
    first = fortress.token(client, "li")
    assert visitor.get("/user/info", headers={"Api-Token": first}).status_code == 200
    fortress.admin("PATCH", f"/admin/clients/{client.id}", enable=False)
    fresh = fortress.token(client, "li")
    assert visitor.get("/user/info", headers={"Api-Token": fresh}).status_code == 401
    fortress.admin("PATCH", f"/admin/clients/{client.id}", enable=True)
    back = fortress.token(client, "li")
    assert visitor.get("/user/info", headers={"Api-Token": back}).status_code == 200


def test_hole_4_nobody_reads_rates_or_regenerates_what_others_said(
    fortress: Fortress, user: httpx.Client, host: Client
) -> None:
    session_id = uuid.uuid4().hex
    user.post("/chat/chat", json={"session_id": session_id, "query": "my salary"})
    (turn,) = user.post("/history/latest", json={"session_id": session_id, "num": 5}).json()["data"]
    token = fortress.token(host, fortress.user_id())
    with httpx.Client(base_url=fortress.url, headers={"Api-Token": token}) as colleague:
        read = colleague.post("/history/latest", json={"session_id": session_id, "num": 5})
        assert read.json()["data"] == []
        again = {"session_id": session_id, "query": "x", "chat_history_id": turn["id"]}
        assert "无权操作" in colleague.post("/chat/chat", json=again).text
        colleague.post("/chat/feedback", json={"chat_history_id": turn["id"], "score": 1})
        save = {"session_id": session_id, "session_name": "x", "mode": "LLM", "param": {}}
        assert "无权操作" in colleague.post("/session/save", json=save).text
    kept = user.post("/history/latest", json={"session_id": session_id, "num": 5}).json()["data"]
    assert kept == [turn]


def test_hole_5_no_secret_in_a_log_or_in_plain_on_disk(
    fortress: Fortress, visitor: httpx.Client, host: Client
) -> None:
    token = fortress.token(host, "li")
    session = fortress.session_token(token)
    _, key = fortress.api_key("chat")
    visitor.get("/sso", params={"token": token})
    visitor.get("/sso", params={"client": "0", "secret": fortress.stack.demo_secret})
    for credential in (token, session, key):
        visitor.get("/user/info", headers={"Api-Token": credential})
    secrets = (token, session, key, fortress.stack.demo_secret, fortress.stack.admin_key)
    console = fortress.stack.log.read_bytes()
    # The launcher greets with the demo link; what services log is a line with a time.
    logged = b"\n".join(re.findall(rb"^\d{4}-\d\d-\d\d .*$", console, re.MULTILINE))
    assert logged
    for content in (logged, *_contents(fortress.stack.data / "auth", "auth.db*")):
        for secret in secrets:
            assert secret.encode() not in content
        assert b"PRIVATE KEY" not in content
        assert b"BEGIN PUBLIC KEY" not in content


def _contents(folder: Path, pattern: str) -> list[bytes]:
    found = [path.read_bytes() for path in folder.glob(pattern)]
    assert found
    return found


def test_hole_5_the_token_leaves_the_address_at_once(
    fortress: Fortress, visitor: httpx.Client, host: Client
) -> None:
    token = fortress.token(host, "li")
    page = visitor.get("/sso", params={"token": token})
    assert page.status_code == 200
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page.headers["Cache-Control"]
    assert token not in page.text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hole_6_no_name_leaves_its_folder(fortress: Fortress, name: str) -> None:
    ask = fortress.operator
    kb = f"kb{uuid.uuid4().hex[:8]}"
    new = {"knowledge_base_name": kb, "kb_zh_name": kb, "kb_info": ""}
    assert ask.post("/knowledge_base/create_knowledge_base", json=new).json()["code"] == 200
    before = _everything_in(fortress.stack.data.parent)
    form = {"knowledge_base_name": kb}
    upload = ask.post("/knowledge_base/upload_docs", data=form, files={"files": (name, b"pwned")})
    assert upload.status_code == 422 or upload.json()["data"]["failed_files"]
    read = {"knowledge_base_name": kb, "file_name": name}
    assert "root:" not in ask.get("/knowledge_base/download_doc", params=read).text
    gone = {"knowledge_base_name": kb, "file_names": [name], "delete_content": True}
    ask.post("/knowledge_base/delete_docs", json=gone)
    named = {"knowledge_base_name": name, "kb_zh_name": "x", "kb_info": ""}
    made = ask.post("/knowledge_base/create_knowledge_base", json=named)
    assert made.status_code == 422 or made.json()["code"] in (403, 404)
    after = _everything_in(fortress.stack.data.parent)
    assert {path for path in after - before if b"pwned" in path.read_bytes()} == set()
    assert before - after == set()


def _everything_in(folder: Path) -> set[Path]:
    """Files that stay: databases, the index and uploads come and go with work in the background."""
    return {path for path in folder.rglob("*.txt") if path.is_file()}


def test_hole_7_the_server_calls_no_address_of_a_callers(fortress: Fortress) -> None:
    """`controller_address` made the old server call whatever it was told to."""
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.setblocking(False)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}"
        for route in ROUTES:
            if route.path.startswith(("/llm_model/", "/server/")):
                body = {"controller_address": address, "model_name": "x", "placeholder": ""}
                fortress.operator.request(route.method, route.path, json=body)
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_hole_8_no_path_of_the_machine_in_an_answer(fortress: Fortress, user: httpx.Client) -> None:
    bases = user.get("/knowledge_base/list_knowledge_bases").json()["data"]
    found = user.post(
        "/knowledge_base/search_docs", json={"knowledge_base_name": bases[0], "query": "配置"}
    )
    assert found.json()
    assert str(fortress.stack.data) not in found.text
    assert not any(document["metadata"]["source"].startswith("/") for document in found.json())


def test_hole_8_other_sites_pages_read_nothing(visitor: httpx.Client) -> None:
    for method in ("GET", "OPTIONS"):
        answer = visitor.request(
            method,
            "/api/user/info",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
        )
        assert "access-control-allow-origin" not in answer.headers


def test_hole_8_a_browser_is_a_user_of_its_own(fortress: Fortress) -> None:
    names = set()
    for _ in range(2):
        landed = httpx.get(fortress.stack.demo_link)
        (token,) = parse_qs(urlsplit(landed.headers["Location"]).query)["token"]
        info = httpx.get(f"{fortress.url}/user/info", headers={"Api-Token": token})
        names.add(info.json()["data"]["user_id"])
    assert len(names) == 2
    assert not names & {"127.0.0.1", "::1"}


def test_hole_9_a_login_that_this_browser_did_not_begin_is_refused(visitor: httpx.Client) -> None:
    """The old `state` was the client's number, so anybody could send a victim his own code."""
    for state in ("1", "0", "", "x" * 90):
        answer = visitor.get("/ent-wechat-sso", params={"code": "stolen", "state": state})
        assert answer.status_code == 307
        assert "/401?message=" in answer.headers["Location"]
        assert "chat2llm_session" not in answer.headers.get("Set-Cookie", "")


def test_failed_tries_are_audited_without_their_secrets(
    fortress: Fortress, visitor: httpx.Client, host: Client
) -> None:
    """Design 11: failed tries are limited and audited; `test_limits` shows the limit."""
    bad = fortress.token(host, "li", inner_client_id="0")
    assert visitor.get("/user/info", headers={"Api-Token": bad}).status_code == 401
    entries = fortress.audited(lambda entry: entry["outcome"] != "done")
    assert any(entry["address"] == "127.0.0.1" for entry in entries)
    assert bad[:40] not in str(entries)


def test_refusals_have_one_text_whatever_is_wrong(
    fortress: Fortress, visitor: httpx.Client, host: Client
) -> None:
    unknown = Client("424242", host.public_key)
    kinds = {
        "unknown client": fortress.token(unknown, "li"),
        "foreign inside": fortress.token(host, "li", inner_client_id="0"),
        "garbage": "x" * 300,
        "unknown session": "c2s-" + "A" * 43,
        "unknown key": "c2l-" + "A" * 43,
    }
    answers = {
        (answer.status_code, answer.text)
        for token in kinds.values()
        for answer in [visitor.get("/user/info", headers={"Api-Token": token})]
    }
    assert answers == {(401, "Authentication required: Api-Token无效!")}
