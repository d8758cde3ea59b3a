"""How much the tests try.

A run that takes minutes leaves out those marked `slow`, and tries few examples of the others. `TOLOKA_AMOUNT=full` is
what `scripts/test --all` tries, and `long` takes hours.
"""

import os
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

_AMOUNT = ("quick", "full", "long").index(os.environ.get("TOLOKA_AMOUNT", "quick"))


def amount(quick: int, full: int, long: int) -> int:
    """Return how many examples to try."""
    return (quick, full, long)[_AMOUNT]


def each_once(cases: Iterable[Any], *others: Iterable[Any], slow: Iterable[Any] = ()) -> list[Any]:
    """Return parameters: each case with each choice of the others, of which all but one are slow, in turn.

    Args:
        cases: What each run tries.
        others: What it is combined with.
        slow: Further cases, slow with any choice.
    """
    choices = list(product(*others))
    quick = [
        pytest.param(case, *choice, marks=() if at == number % len(choices) else pytest.mark.slow)
        for number, case in enumerate(cases)
        for at, choice in enumerate(choices)
    ]
    return quick + [pytest.param(case, *choice, marks=pytest.mark.slow) for case in slow for choice in choices]
