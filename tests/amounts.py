"""How much the tests try.

A run that takes minutes leaves out those marked `slow` or `long`, and tries few examples of the others.
`TOLOKA_AMOUNT=full` is what `scripts/test --all` tries: not those marked `long`, which try much the same as another
test. `long`, which takes a night, tries them, every combination and thousands of examples.
"""

import os
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

_AMOUNTS = ("quick", "full", "long")
_AMOUNT = _AMOUNTS.index(os.environ.get("TOLOKA_AMOUNT", _AMOUNTS[0]))


def amount(quick: int, full: int, long: int) -> int:
    """Return how many examples to try."""
    return (quick, full, long)[_AMOUNT]


def is_long() -> bool:
    """Tell whether every combination is to be tried."""
    return _AMOUNTS[_AMOUNT] == "long"


def each_once(cases: Iterable[Any], *others: Iterable[Any], more: Iterable[Any] = ()) -> list[Any]:
    """Return parameters: each case with one choice of the others, which take turns; with each choice in `long`.

    Args:
        cases: What each run tries.
        others: What it is combined with.
        more: Further cases, which `long` alone tries.
    """
    choices = list(product(*others))
    marked = [(case, ()) for case in cases] + [(case, pytest.mark.long) for case in more]
    return [
        pytest.param(case, *choice, marks=marks)
        for number, (case, marks) in enumerate(marked)
        for at, choice in enumerate(choices)
        if is_long() or at == number % len(choices)
    ]
