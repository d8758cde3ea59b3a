"""The parts that the page is made of: cards and tables, and how numbers, times and names are written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def card(title: str, about: str, content: str, kind: str = "") -> str:
    """Return a card; `kind` is a class of its own, such as "wide"."""
    return f'<article class="card {kind}"><h2>{title}</h2><p class="soft">{about}</p>{content}</article>'


def nothing_yet(text: str) -> str:
    """Return what stands in the place of a chart or table that has nothing to show."""
    return f'<p class="empty">{text}</p>'


_TIMES = {"From", "Up to", "Done at", "New data up to", "Edits up to", "Not before", "Not after"}
"""The columns that hold times."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Return a table whose last columns are numbers."""
    texts = columns[: len(columns) - numbers]
    kinds = [' class="time"' if name in _TIMES else ' dir="auto"' for name in texts] + [' class="right"'] * numbers
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, columns, strict=True))
    # on a narrow screen the cells bear their columns' names themselves
    starts = [f'<td{kind} data-column="{name}">' for kind, name in zip(kinds, columns, strict=True)]
    lines = ("".join(f"{start}{escape(cell)}</td>" for start, cell in zip(starts, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def names(rows: Rows, name: str, id_: str) -> list[str]:
    """Return names, those that more than one object has with the id."""
    objects = {(row[name], row[id_]) for row in rows}
    several = Counter(shared for shared, _ in objects)
    return [
        row[name] if row[name] and several[row[name]] == 1 else " · ".join(filter(None, (row[name], row[id_])))
        for row in rows
    ]


def in_digits(value: int | None) -> str:
    """Write a count; a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:,}"


def in_utc(moment: datetime | None) -> str:
    """Write a time; a dash where there is none."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "\N{EN DASH}"
