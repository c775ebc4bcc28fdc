"""What a parser process may take of the machine: set by itself before the first document."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_FILES_MAX = 256
_FILE_BYTES_MAX = 1 << 30  # of a file that it writes, as LibreOffice does
_NICE = 10  # a tenth of what the service gets that people wait for
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET


def confine(memory_mb: int) -> None:
    """No more memory than this, no core dumps, few files, behind others, and no network."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    memory = memory_mb * 1024 * 1024
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _FILES_MAX,
        resource.RLIMIT_FSIZE: _FILE_BYTES_MAX,
    }
    for kind, limit in limits.items():
        most = resource.getrlimit(kind)[1]
        allowed = limit if most == resource.RLIM_INFINITY else min(limit, most)
        with suppress(ValueError, OSError):  # macOS knows some and does not let them be set
            resource.setrlimit(kind, (allowed, allowed))
    with suppress(OSError):
        os.nice(_NICE)
    if sys.platform == "linux":
        _leave_the_network()


def _leave_the_network() -> None:
    """And end with the parent. Where the kernel forbids it, it stays as it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def allow_seconds(seconds: int) -> None:
    """From now on, of a processor's time; the process ends when it is used up."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = int(used.ru_utime + used.ru_stime) + seconds
    # At the hard limit it would be killed without a word.
    allowed = limit if most == resource.RLIM_INFINITY else min(limit, max(most - 1, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, most))


def holds_bytes() -> int:
    """By what it holds now: the peak of `getrusage` begins with the parent's."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:  # only Linux tells
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
