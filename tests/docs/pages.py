"""The pages of the documentation, and the parts on them that are made from the code.

A part stands between `<!-- begin: NAME -->` and `<!-- end -->`; `parts.py` makes what belongs there.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.docs.parts import PARTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_PART = re.compile(r"(<!-- begin: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages of the site in their order."""
    return sorted(DOCS.rglob("*.md"))


def texts() -> list[Path]:
    """Return the pages, and what stands beside them."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages()]


def current(page: Path, parts: dict[str, Callable[[], str]] = PARTS) -> str:
    """Return the text that a page should have.

    Raises:
        KeyError: It has a part that nobody makes.
    """
    return _PART.sub(lambda found: f"{found[1]}{parts[found[2]]().strip()}\n{found[3]}", page.read_text())


def parts_of(page: Path) -> list[str]:
    """Return the names of the parts that a page has."""
    return [found[2] for found in _PART.finditer(page.read_text())]


def blocks(page: Path, language: str) -> Iterator[str]:
    """Yield the code on a page that is marked with this language."""
    for found in re.finditer(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        yield found[1]
