"""Rules of the house that no linter knows."""

import ast
import io
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

from deploy.configuration import (
    DOCUMENT,
    described_fields,
    document,
    field_name,
    written_keys,
)
from deploy.launcher import SETTINGS
from tests.stack import ROOT, SERVICES

KIT = sorted((ROOT / "servicekit").glob("*.py"))
PRODUCT_NOUNS = {
    "chat",
    "conversation",
    "document",
    "embedding",
    "feedback",
    "history",
    "knowledge",
    "llm",
    "prompt",
    "upload",
    "vector",
}
NO_FILE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core"}


def _code_lines(source: str) -> int:
    """Lines with code: no blank ones, no comments, no docstrings."""
    counted: set[int] = set()
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored and token.type != tokenize.ENDMARKER:
            counted.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                assert first.end_lineno
                counted.difference_update(range(first.lineno, first.end_lineno + 1))
    return len(counted)


def test_code_lines_are_counted_without_explanations() -> None:
    source = """
"Module."

# why
x = (
    1,  # one

)

def f() -> int:
    "Doc
    more."
    return 1
""".replace('"', '"' * 3)
    assert _code_lines(source) == 5


def test_the_kit_stays_within_its_budget() -> None:
    assert len(KIT) <= 8
    assert sum(_code_lines(file.read_text(encoding="utf-8")) for file in KIT) <= 450


@pytest.mark.parametrize("file", KIT, ids=lambda file: file.name)
def test_the_kit_names_nothing_of_the_product(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names |= {node.name for node in ast.walk(tree) if isinstance(node, defined)}
    words = {word for name in names for word in _words(name)}
    assert not words & PRODUCT_NOUNS


def _words(name: str) -> set[str]:
    plain = re.sub("chat2llm", "", name, flags=re.IGNORECASE)  # the product's name is no noun of it
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", plain)}


@pytest.mark.parametrize("file", KIT, ids=lambda file: file.name)
def test_the_kit_imports_nothing_of_ours(file: Path) -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _imported(node)
    }
    assert not imported & {*SERVICES, "deploy", "tests", "bench", "examples"}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_each_file_of_the_kit_has_tests() -> None:
    tested = {file.stem for file in (ROOT / "tests" / "servicekit").glob("test_*.py")}
    assert {f"test_{file.stem}" for file in KIT if file.stem != "__init__"} <= tested


def test_at_least_three_services_use_each_file_of_the_kit() -> None:
    for file in KIT:
        if file.stem == "__init__":
            continue
        users = [
            name
            for name in SERVICES
            if any(
                f"servicekit.{file.stem}" in source.read_text(encoding="utf-8")
                for source in (ROOT / name).rglob("*.py")
            )
        ]
        assert len(users) >= 3, (file.name, users)


def test_no_file_is_named_for_anything() -> None:
    for package in (*SERVICES, "servicekit", "deploy", "tests", "bench"):
        for path in (ROOT / package).rglob("*"):
            assert "node_modules" in path.parts or path.stem not in NO_FILE_NAMES, path


FIELDS = described_fields()
WRITTEN = list(written_keys())


def test_each_setting_is_in_the_configuration_file_once() -> None:
    assert sorted(field_name(key) for _, key, _ in WRITTEN) == sorted(FIELDS)


@pytest.mark.parametrize(("section", "key", "value"), WRITTEN, ids=lambda text: text)
def test_each_key_of_the_configuration_file_says_its_default(
    section: str, key: str, value: str
) -> None:
    assert value == FIELDS[field_name(key)][0]
    owners = [model for model in SETTINGS.values() if section in model.owned_sections]
    assert len(owners) == 1
    assert field_name(key) in set(owners[0].model_fields) | owners[0].elsewhere


def test_each_setting_is_described_in_both_languages() -> None:
    for name, (_, description) in FIELDS.items():
        assert re.search("[a-z]{3}", description), name
        assert re.search("[一-鿿]", description), name


def test_each_key_of_the_configuration_file_has_a_comment() -> None:
    comment = ""
    for line in (ROOT / "config.ini").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("["):
            comment = ""
        elif line.startswith("#"):
            comment += line
        else:
            assert re.search("[A-Za-z]", comment), line
            assert re.search("[一-鿿]|OpenAI", comment), line


def test_the_table_of_settings_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_the_documents_name_each_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    documents = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")
    )
    assert targets >= {"help", "run", "test", "check", "fix", "bench", "e2e", "browser", "docs"}
    assert not {name for name in targets if not re.search(rf"\b{name}\b", documents)}


def test_each_make_target_has_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^[a-z0-9-]+:(?!.* ## ).*$", makefile, re.MULTILINE) == []


def test_dependencies_are_coroutines() -> None:
    """FastAPI runs a plain function in a thread, which costs every request that depends on it."""
    plain = []
    for file in (
        path for name in (*SERVICES, "servicekit") for path in (ROOT / name).rglob("*.py")
    ):
        tree = ast.parse(file.read_text("utf-8"))
        functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        plain += [
            f"{file.relative_to(ROOT)}: {node.args[0].id}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Depends"
            and node.args
            and isinstance(node.args[0], ast.Name)
            and node.args[0].id in functions
        ]
    assert not plain


def test_import_contracts_have_no_exceptions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = project["tool"]["importlinter"]
    assert set(linter["root_packages"]) >= {*SERVICES, "servicekit"}
    kinds = [contract["type"] for contract in linter["contracts"]]
    assert {"independence", "forbidden", "layers"} <= set(kinds)
    for contract in linter["contracts"]:
        assert not contract.get("ignore_imports"), contract["name"]
