"""The lines of the command's log: bare for people at a terminal, with a UTC time for who watches, or JSON."""

import json
import logging
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from toloka_source.errors import one_line, shortened

KINDS = ("plain", "text", "json")

_DLT = "dlt"
"""The logger of dlt, which says in dozens of lines what the error says in one."""


@dataclass(frozen=True)
class LogFormat:
    """How lines are written.

    Attributes:
        kind: One of `KINDS`.
        resources: The lists that a line can begin with.
        before: What each line of a log begins with, such as the window that it is about.
        verbose: Whether dlt's lines are written whole.
    """

    kind: str = "plain"
    resources: Collection[str] = ()
    before: str = ""
    verbose: bool = False

    def line(self, level: str, text: str) -> str:
        """Return a line: when it was said, how bad it is, the list that it is about, and what there is to say."""
        text = one_line(text)
        time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if self.kind == "json":
            name, colon, rest = text.partition(": ")
            resource, text = (name, rest) if colon and name in self.resources else (None, text)
            return json.dumps({"time": time, "level": level, "resource": resource, "message": text}, ensure_ascii=False)
        if self.kind == "text":
            return f"{time} {level}: {text}"
        return text if level != "error" else f"error: {text}"


_current = LogFormat()


def current() -> LogFormat:
    """Return how lines are written now."""
    return _current


def say(level: str, text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(f"{_current.line(level, text)}\n")
    sys.stderr.flush()


@contextmanager
def written_as(log_format: LogFormat, level: int = logging.INFO) -> Iterator[None]:
    """Write what is logged in this process so.

    Args:
        log_format: How.
        level: What is less than this isn't written.
    """
    global _current  # noqa: PLW0603 - a process has one log, as in logging
    before, _current = _current, log_format
    handler = _Handler()
    loggers = [logging.getLogger(name) for name in ("", _DLT)]
    given = [logger.handlers[:] for logger in loggers]
    ours = logging.getLogger(__package__)
    given_level = ours.level
    ours.setLevel(level)
    # dlt sets a formatter of its own for the handler that it finds
    loggers[0].addHandler(handler)
    loggers[1].handlers[:] = [handler]
    try:
        yield
    finally:
        _current = before
        ours.setLevel(given_level)
        loggers[0].removeHandler(handler)
        loggers[1].handlers[:] = given[1]


def with_window(log_format: LogFormat, window: str) -> LogFormat:
    """Return the format of the lines that are about a window."""
    return replace(log_format, before=f"window {window}: ")


class _Handler(logging.Handler):
    """Writes each line of a record as a line of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; what isn't said in words, such as a rule between counts, isn't written."""
        try:
            text = self._text(record)
            for line in text.splitlines():
                if words := line.strip(" -"):
                    say(record.levelname.lower(), f"{_current.before}{words}")
        except Exception:  # noqa: BLE001 - as logging does it
            self.handleError(record)

    @staticmethod
    def _text(record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name != _DLT:
            return text
        if _current.verbose and record.exc_info:
            return f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        return text if _current.verbose else shortened(one_line(text))
