"""An iterator that runs ahead in a thread: it never waits, and ends when its reader does."""

import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from toloka_source.tables.background import run_ahead


def readers() -> list[threading.Thread]:
    """Return the threads that still run."""
    return [thread for thread in threading.enumerate() if thread.name == "toloka-reader"]


def fetched(items: Iterator[Any]) -> list[Any]:
    """Return all items, without the Nones that stand for waiting."""
    found = []
    for item in items:
        if item is None:
            time.sleep(0.001)
        else:
            found.append(item)
    return found


def test_all_items_come_in_their_order() -> None:
    assert fetched(run_ahead((number for number in range(1, 1_000)), 1, list)) == list(range(1, 1_000))
    assert readers() == []


def test_an_error_is_raised_after_what_came_before_it() -> None:
    def items() -> Generator[int]:
        yield 1
        raise KeyError("broken")

    ahead = run_ahead(items(), 1, list)
    while (item := next(ahead)) is None:
        pass
    assert item == 1
    with pytest.raises(KeyError, match="broken"):
        fetched(ahead)
    assert readers() == []


def test_no_more_are_made_than_may_wait() -> None:
    made = []

    def items() -> Generator[int]:
        for number in range(1, 10):
            made.append(number)
            yield number

    ahead = run_ahead(items(), 2, list)
    assert next(ahead) in {None, 1}  # it begins with the first that is asked for
    time.sleep(0.1)
    assert len(made) <= 3
    fetched(ahead)
    assert made == list(range(1, 10))


def test_who_waits_is_ended_and_closed_with_its_reader() -> None:
    never = threading.Event()
    closed: list[str] = []

    def items() -> Generator[int]:
        try:
            yield 1
            never.wait()
            yield 2
        finally:
            closed.append(threading.current_thread().name)

    ahead = run_ahead(items(), 2, never.set)
    while next(ahead) is None:
        pass
    assert [next(ahead) for _ in range(3)] == [None] * 3
    ahead.close()  # type: ignore[attr-defined] # a generator
    assert closed == ["toloka-reader"]
    assert readers() == []
