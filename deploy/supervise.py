"""The process manager: supervisor, in the foreground, saying on the console what happens."""

import os
import re
import signal
import socket
import sys
from collections import defaultdict
from contextlib import suppress
from typing import Any

from supervisor.events import (
    ProcessLogStdoutEvent,
    SupervisorStoppingEvent,
    subscribe,
)
from supervisor.loggers import Handler, LevelsByName
from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.supervisord import Supervisor

_EXITED = re.compile(r"exited: (\w+) \((?:exit status (\d+)|terminated by (\w+)[^;]*)")
_NOT_STARTED = re.compile(r"spawnerr: (.*)|gave up: (\w+)")


class Console(Supervisor):  # type: ignore[misc]  # supervisor has no types
    """Passes on the services' lines whole, and tells when one of them ends."""

    def runforever(self) -> None:
        self._begun: dict[str, bytes] = defaultdict(bytes)
        subscribe(ProcessLogStdoutEvent, self._pass_on)
        subscribe(SupervisorStoppingEvent, self._stop_reporting)
        self._reports = _ProcessReports()
        self.options.logger.addHandler(self._reports)
        wakeup = _Wakeup()
        self.options.get_socket_map()[wakeup.fileno()] = wakeup
        super().runforever()

    def _stop_reporting(self, _: Any) -> None:
        self.options.logger.handlers.remove(self._reports)
        say("Stopping. 正在停止")

    def _pass_on(self, event: Any) -> None:
        name = event.process.config.name
        whole, newline, self._begun[name] = (self._begun[name] + event.data).rpartition(b"\n")
        if newline:
            _write(whole + newline)


class _Wakeup:
    """Ends the wait of supervisor's loop when a signal comes; alone it would go on for a second."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        self._writer.send(b"0")  # nothing starts before the first wait has ended

    def fileno(self) -> int:
        return self._reader.fileno()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self._reader.recv(4096)


class _ProcessReports(Handler):  # type: ignore[misc]  # supervisor has no types
    """Turns supervisor's log records about ended processes into sentences."""

    level = LevelsByName.INFO

    def emit(self, record: Any) -> None:
        if found := _EXITED.match(record.msg):
            name, status, signal = found.groups()
            how = f"exit status {status}" if status else f"killed by {signal}"
            say(f"{name} stopped unexpectedly ({how}); restarting. 意外退出，正在重启")
        elif found := _NOT_STARTED.match(record.msg):
            say(f"{found[1] or found[2]} cannot be started. 无法启动")


def say(sentence: str) -> None:
    _write(f"==> {sentence}\n".encode())


def _write(data: bytes) -> None:
    with suppress(OSError):  # nobody reads the console any more; the services go on
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


def main(configuration: str) -> None:
    options = ServerOptions()
    options.first, options.test = True, False
    options.realize(["--nodaemon", "--silent", "--configuration", configuration])
    with suppress(ExitNow):
        Console(options).main()
    say("All services have stopped. 所有服务已停止")


if __name__ == "__main__":
    main(sys.argv[1])
