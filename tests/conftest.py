"""Fixtures that every folder of tests may use: the running product and its clients."""

import gc
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.parsers import PARSERS
from tests.stack import Client, Stack, running_stack
from tests.warm_interpreter import end_all

_LIVE = pytest.StashKey[list[Stack]]()
_SHARED = ("stack", "scripted")
_SHOWN_LINES = 150
_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 4 << 30
_GARBAGE = 20_000


def pytest_configure() -> None:
    gc.set_threshold(_GARBAGE, 20, 20)  # much is imported and stays: looking at it often is vain
    _trust_nobody()
    _files_in_memory()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()  # what is there before the first test is no garbage after any
    for item in session.items:
        _keep_group(item)


def _keep_group(item: pytest.Item) -> None:
    """pytest 9.2 does not read where xdist 3.8 writes the group, and each worker would start all.

    To be removed with https://github.com/pytest-dev/pytest-xdist/issues/1386.
    """
    written = vars(item).get("_nodeid")
    if written is not None:
        item._id = type(item.id).parse(written)


def _trust_nobody() -> None:
    """No test asks a host outside: reading all the world's certificates takes 20 ms a client."""
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)  # there are none here


def _files_in_memory() -> None:
    """Where there is room: on a disk each small commit waits for it."""
    if not _MEMORY.is_dir():
        return
    found = os.statvfs(_MEMORY)
    may_run_programs = not found.f_flag & os.ST_NOEXEC
    if may_run_programs and found.f_bavail * found.f_frsize >= _MEMORY_NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture(scope="session", autouse=True)
async def _shared_processes() -> AsyncIterator[None]:
    yield
    end_all()
    await PARSERS.close()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    folder = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    return Databases((folder.parent if is_worker else folder) / "databases")


@pytest.fixture(scope="session")
def stack_folder(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Callable[[], Path]:
    """Makes folders for products that need not migrate when they start."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("stack")
        databases.copy_to(folder / "data")
        return folder

    return make


OpenStack = Callable[..., AbstractContextManager[Stack]]


@pytest.fixture(scope="session")
def open_stack(request: pytest.FixtureRequest, stack_folder: Callable[[], Path]) -> OpenStack:
    """Runs a product with settings for a while: `with open_stack(CUSTOM_API_BASE_URL=...)`."""

    @contextmanager
    def opened(**env: str) -> Iterator[Stack]:
        with (
            running_stack(stack_folder(), **env) as started,
            _shown(request.config, started),
        ):
            yield started

    return opened


@pytest.fixture(scope="session")
def stack(open_stack: OpenStack) -> Iterator[Stack]:
    """One product for all tests that leave it as they found it."""
    with open_stack() as started:
        yield started


@pytest.fixture
def start_stack(open_stack: OpenStack) -> Iterator[Callable[..., Stack]]:
    """Starts products of a test's own, with settings: `start_stack(CUSTOM_API_BASE_URL=...)`."""
    with ExitStack() as running:
        yield lambda **env: running.enter_context(open_stack(**env))


@pytest.fixture
def add_client(stack: Stack) -> Callable[[str], Client]:
    """Registers a host app on the shared product, as an operator does."""
    return stack.add_client


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one shared product share a worker; whoever starts processes or a browser says so."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for shared in _SHARED:
            if shared in fixtures:
                item.add_marker(pytest.mark.xdist_group(shared))
        if {*_SHARED, "start_stack"} & {*fixtures}:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for started in item.config.stash.get(_LIVE, []):
            lines = started.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
            report.sections.append((f"console of {started.url}", "\n".join(lines)))
    return report


@contextmanager
def _shown(config: pytest.Config, started: Stack) -> Iterator[None]:
    """Tests that fail meanwhile show this product's console."""
    live = config.stash.setdefault(_LIVE, [])
    live.append(started)
    yield
    live.remove(started)
