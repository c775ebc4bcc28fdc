"""Each service's new database, migrated once for all processes of a test run."""

import asyncio
import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from servicekit.database import Database, sqlite_url

SERVICES = ("auth", "chat", "kb", "session")


class Databases:
    """In a folder that all processes of the run share; copying one is faster than migrating."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def migrated(self, service: str) -> Path:
        """The file of `auth`, for example; nobody changes it."""
        path = self._folder / service / f"{service}.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made = path.with_suffix(".made")
                with ThreadPoolExecutor(1) as apart:  # a test's own loop may be running
                    apart.submit(asyncio.run, _migrate(made, f"{service}_service")).result()
                made.rename(path)
        return path

    def copy_to(self, data: Path) -> None:
        """All of them, where services look for them in this data folder."""
        for service in SERVICES:
            folder = data / service
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(self.migrated(service), folder)


async def _migrate(path: Path, package: str) -> None:
    import_module(package)
    database = Database(sqlite_url(path), package=package)
    await database.upgrade()
    await database.close()
