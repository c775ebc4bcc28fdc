"""What a log line holds, and what never."""

import logging

import pytest

from servicekit.logs import LineFormatter, configure_logs, redact, request_id


def _line(message: str, *arguments: object) -> str:
    record = logging.LogRecord("shop.till", logging.INFO, "till.py", 1, message, arguments, None)
    return LineFormatter("shop_service").format(record)


def test_a_line_names_service_level_logger_and_request() -> None:
    token = request_id.set("abcd1234")
    try:
        line = _line("sold %d", 3)
    finally:
        request_id.reset(token)

    assert line.endswith("INFO shop_service abcd1234 shop.till: sold 3")


@pytest.mark.parametrize(
    "text",
    [
        "key c2l-abcdef{secret}",
        "session c2s-abcdef{secret}",
        "console c2a-abcdef{secret}",
        "Authorization: Bearer {secret}",
        "authorization='{secret}'",
        "GET /sso?token={secret}&x=1",
        "GET /sso?client=0&secret={secret}",
        '{{"api_key": "{secret}"}}',
        "OPENAI-API.API-KEY = {secret}",
        "Api-Token: {secret}",
        "password={secret}",
    ],
)
def test_credentials_are_blotted_out(text: str) -> None:
    shown = redact(text.format(secret="aVerySecret0123"))

    assert "aVerySecret0123" not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", ["the token was empty", "42 secrets sold", "c2l-docs"])
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


def test_arguments_and_tracebacks_are_redacted_too() -> None:
    try:
        raise ValueError("token=aVerySecret0123")
    except ValueError as error:
        record = logging.LogRecord(
            "shop", logging.ERROR, "x", 1, "bad %s", ("token=another-secret",), None
        )
        record.exc_info = (type(error), error, error.__traceback__)
    line = LineFormatter("shop_service").format(record)

    assert "aVerySecret0123" not in line
    assert "another-secret" not in line
    assert "ValueError" in line


def test_configuring_sends_everything_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, level = logging.root.handlers, logging.root.level
    try:
        configure_logs("shop_service", "warning")
        logging.getLogger("uvicorn.error").warning("closing")
        logging.getLogger("quiet").info("not shown")
        assert not logging.getLogger("aiosqlite").isEnabledFor(logging.DEBUG)
        shown = capsys.readouterr().err
    finally:
        logging.root.handlers, logging.root.level = before, level

    assert "WARNING shop_service - uvicorn.error: closing" in shown
    assert "not shown" not in shown
