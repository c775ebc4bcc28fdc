"""A host app talks to Chat2LLM for a user whom it has logged in itself.

python examples/host_app.py --client-id 2 --client-key intranet.pem [--gateway URL]

Only httpx and cryptography are needed. The client id and key come from
`python -m auth_service client add NAME`.
"""

import argparse
import base64
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def mint_token(client_id: str, client_key: bytes, user_id: str, username: str) -> str:
    """A token for one user, made when the user opens the chat. The key never leaves your server."""
    key = load_pem_public_key(client_key)
    assert isinstance(key, RSAPublicKey), "the client key is an RSA public key in PEM"
    plain = f"{client_id}|{user_id}|{username}|{time.time()}"
    sealed = key.encrypt(plain.encode(), OAEP(MGF1(SHA256()), SHA256(), None))
    return base64.b64encode(f"{client_id}|{base64.b64encode(sealed).decode()}".encode()).decode()


class Chat2LLM:
    """The calls of one user, in one chat session."""

    def __init__(self, gateway: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=f"{gateway.rstrip('/')}/api", headers={"Api-Token": token}, timeout=60
        )
        self._session_id = uuid.uuid4().hex

    def get(self, path: str) -> Any:
        return self._data(self._http.get(path))

    def chat(self, question: str) -> Iterator[dict[str, Any]]:
        """Ask the model: objects with a piece of `text` each."""
        return self._stream("/chat/chat", {"query": question})

    def ask(
        self, knowledge_base: str, question: str, *, again: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Ask a knowledge base: pieces of `answer`, then `docs`. `again` answers a turn anew."""
        body = {"query": question, "knowledge_base_name": knowledge_base, "chat_history_id": again}
        return self._stream("/chat/knowledge_base_chat", body)

    def history(self) -> list[dict[str, Any]]:
        """The turns of this session, newest first."""
        body = {"session_id": self._session_id, "num": 10}
        turns: list[dict[str, Any]] = self._data(self._http.post("/history/latest", json=body))
        return turns

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        body |= {"session_id": self._session_id, "stream": True}
        with self._http.stream("POST", path, json=body) as answer:
            self._check(answer)
            # JSON objects one after the other, with nothing between them.
            decoder, waiting = json.JSONDecoder(), ""
            for piece in answer.iter_text():
                waiting += piece
                while waiting:
                    try:
                        found, end = decoder.raw_decode(waiting)
                    except json.JSONDecodeError:
                        break  # half an object; the rest comes with the next piece
                    yield found
                    waiting = waiting[end:]

    def _data(self, answer: httpx.Response) -> Any:
        """What is in the envelope; errors come as a status or as a code inside."""
        self._check(answer)
        envelope = answer.json()
        if envelope["code"] != 200:
            raise SystemExit(f"Chat2LLM refused: {envelope['msg']}")
        return envelope["data"]

    @staticmethod
    def _check(answer: httpx.Response) -> None:
        if answer.is_error:
            raise SystemExit(f"Chat2LLM answered {answer.status_code}: {answer.read().decode()}")


def show(stream: Iterator[dict[str, Any]]) -> None:
    """Print pieces as they come, then the citations."""
    docs: list[str] = []
    for piece in stream:
        if "code" in piece:  # an error in an envelope instead of a stream
            raise SystemExit(f"Chat2LLM refused: {piece['msg']}")
        print(piece.get("text") or piece.get("answer") or "", end="", flush=True)
        docs += piece.get("docs", [])
    print()
    for doc in docs:  # "出处 [1] [file](link)", an empty line, the passage
        source, _, passage = doc.partition("\n\n")
        print(f"  {source.partition('](')[0]}] {' '.join(passage.split())[:50]}…")


def main() -> None:
    options = argparse.ArgumentParser(description="A first conversation, as a program.")
    options.add_argument("--gateway", default="http://127.0.0.1:7861", metavar="URL")
    options.add_argument("--client-id", required=True, metavar="ID")
    options.add_argument("--client-key", required=True, type=Path, metavar="FILE")
    options.add_argument("--user", default="li.si", metavar="USER_ID")
    given = options.parse_args()

    token = mint_token(given.client_id, given.client_key.read_bytes(), given.user, "李四")
    chat2llm = Chat2LLM(given.gateway, token)

    user = chat2llm.get("/user/info")
    print(f"# Logged in as {user['username']} ({user['user_id']}) of client {user['client_id']}")

    bases = chat2llm.get("/knowledge_base/list_knowledge_bases_v2")
    for base in bases:
        print(f"# Knowledge base {base['kb_name']}: {base['kb_zh_name']}")

    question = "你好，你是谁？"
    print(f"\n> {question}")
    show(chat2llm.chat(question))

    name, question = bases[0]["kb_name"], "宿主应用怎样签发令牌？"
    print(f"\n> [{name}] {question}")
    show(chat2llm.ask(name, question))

    last = chat2llm.history()[0]
    print(f"\n> [{name}] {last['query']} (again)")
    show(chat2llm.ask(name, last["query"], again=last["id"]))

    print("\n# History")
    for turn in reversed(chat2llm.history()):
        print(f"{turn['create_time']}  {turn['query']}  ({len(turn['response'])} characters)")


if __name__ == "__main__":
    main()
