"""The product's two front doors: the gateway itself, and nginx with the configuration we ship."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.front import nginx_in_front
from tests.stack import Stack


@pytest.fixture(scope="module", params=["gateway", "nginx"])
def door(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the browser goes."""
    if request.param == "gateway":
        yield stack.url
        return
    folder: Path = tmp_path_factory.mktemp("nginx")
    with nginx_in_front(stack.url, folder) as url:
        yield url
