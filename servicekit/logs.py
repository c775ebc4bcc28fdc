"""One log format for every service: one line a record, with the request id, without secrets."""

import logging
import re
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# What looks like a credential never reaches a log, whoever wrote the line.
_SECRETS = re.compile(
    r"(c2[als]-[\w-]{6})[\w-]+"  # our own keep their prefix
    r"|(Bearer\s+|(?:token|secret|api[_-]?key|password|authorization)[\"']?\s*[=:]\s*[\"']?)"
    r"(?!Bearer)[^\s&\"',;]{6,}",
    re.IGNORECASE,
)


class LineFormatter(logging.Formatter):
    """`time LEVEL service request-id logger: message`, credentials blotted out."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"%(asctime)s %(levelname)s {service} %(request_id)s %(name)s: %(message)s"
        )

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return redact(super().format(record))


def redact(text: str) -> str:
    return _SECRETS.sub(lambda match: f"{match[1] or match[2]}***", text)


def configure_logs(service: str, level: str) -> None:
    """Send the root logger, and uvicorn's, to standard error in our format."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(service))
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # below, it shows what is stored
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
