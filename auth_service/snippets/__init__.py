"""Programs that mint a v1 token in a host app's language, filled in for one client."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

_LANGUAGES = {
    "python": ("mint_token.py", "pip install cryptography"),
    "javascript": ("mint_token.mjs", "Node.js, no packages 无需依赖"),
    "java": ("MintToken.java", "JDK 11+, no packages 无需依赖"),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A whole program."""

    language: str
    file_name: str
    needs: str
    text: str


def snippets(client_id: int, public_key: str) -> Iterator[Snippet]:
    one_line = "".join(public_key.splitlines()[1:-1])
    for language, (file_name, needs) in _LANGUAGES.items():
        template = files(__name__).joinpath(f"{file_name}.txt").read_text("utf-8")
        text = template.replace("@CLIENT_ID@", str(client_id)).replace("@CLIENT_KEY@", one_line)
        yield Snippet(language, file_name, needs, text)
