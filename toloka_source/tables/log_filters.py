"""Warnings of dlt's that are none here, kept back for this source alone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import dlt
from dlt.extract import DltSource
from dlt.extract.exceptions import CurrentSourceNotAvailable


class _JsonWarnings(logging.Filter):
    """Keeps back dlt's warning that a column of JSON is a string in Arrow, for resources of ours alone."""

    _TEXT = "when merging arrow schema with dlt schema, several column hints were different"

    def __init__(self) -> None:
        super().__init__()
        self._running: WeakKeyDictionary[DltSource, set[str]] = WeakKeyDictionary()

    def add(self, source: DltSource, resource: str) -> None:
        self._running.setdefault(source, set()).add(resource)

    def filter(self, record: logging.LogRecord) -> bool:
        if self._TEXT not in record.getMessage():
            return True
        try:
            ours = self._running.get(dlt.current.source(), set())  # dlt extracts one source after the other
        except CurrentSourceNotAvailable:
            return True
        return not any(f"resource: {name}," in record.getMessage() for name in ours)


_json_warnings = _JsonWarnings()


def silence_json_warning(resource: str) -> None:
    """Have dlt not warn of the JSON columns of this resource in the source that runs."""
    _json_warnings.add(dlt.current.source(), resource)
    logging.getLogger("dlt").addFilter(_json_warnings)


class _PackageWarnings(logging.Filter):
    """Keeps back what dlt says of each table of ours: what is meant so, or what we say ourselves, once."""

    _TEXTS = ("job file format insert_values native writer could not be found", "Falling back to `append` on")

    def filter(self, record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in self._TEXTS)


@contextmanager
def quiet_package_warnings() -> Iterator[None]:
    """Have dlt say less while it has packages of this source alone."""
    warnings = _PackageWarnings()
    logging.getLogger("dlt").addFilter(warnings)
    try:
        yield
    finally:
        logging.getLogger("dlt").removeFilter(warnings)
