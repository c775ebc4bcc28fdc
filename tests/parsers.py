"""Parser processes that all apps of a test run share: each takes a while to start."""

from kb_service.parsers import ParserPool

PARSERS = ParserPool(size=4)
