"""What of a page is drawn where, and in which colours, as a browser says."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from playwright.sync_api import Page

_EDGE = 0.5
"""In pixels."""

_TEXTS = """() => {
    const parts = [];
    const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, parent = node.parentElement;
        const hidden = parent.closest("script, noscript") || parent.getAttribute("opacity") === "0";
        if (hidden || !node.data.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const style = getComputedStyle(parent);
        const colour = parent.closest("svg") ? style.fill : style.color;
        for (const box of range.getClientRects())
            parts.push([node.data.trim(), colour, box.left, box.top, box.right, box.bottom]);
    }
    return parts;
}"""

_BARS = """chart => [...document.querySelectorAll(`#${chart} .mark-rect path`)].map(bar => {
    const box = bar.getBoundingClientRect();
    return [bar.getAttribute("aria-label"), getComputedStyle(bar).fill, box.left, box.top, box.right, box.bottom];
})"""

_LINES = """chart => [...document.querySelectorAll(`#${chart} .role-axis-grid line`)].map(line => {
    const box = line.getBoundingClientRect();
    return ["", getComputedStyle(line).stroke, box.left, box.top, box.right, box.bottom];
})"""


@dataclass(frozen=True)
class Part:
    """A line of text, a bar or a line of a chart.

    Attributes:
        text: What it says, or what a bar says to those who can't see it.
        colour: Its colour, as CSS.
        left: Where it begins, in pixels, as the rest.
        top: Its upper end.
        right: Where it ends.
        bottom: Its lower end.
    """

    text: str
    colour: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        """Where its middle is, from the left."""
        return (self.left + self.right) / 2

    def lies_on(self, other: "Part") -> bool:
        """Tell whether they have more in common than an edge."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > _EDGE and down > _EDGE


def texts(page: Page) -> list[Part]:
    """Return the lines of text that can be seen."""
    return [Part(*part) for part in page.evaluate(_TEXTS)]


def bars(page: Page, chart: str) -> list[Part]:
    """Return a chart's bars."""
    return [Part(*part) for part in page.evaluate(_BARS, chart)]


def lines(page: Page, chart: str) -> list[Part]:
    """Return the lines behind a chart's bars."""
    return [Part(*part) for part in page.evaluate(_LINES, chart)]


def overlaps(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """Return what lies on something else."""
    return [(one.text, other.text) for one, other in combinations(parts, 2) if one.lies_on(other)]


def contrast(colour: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG defines it."""
    darker, lighter = sorted((_luminance(colour), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(number) / 255 for number in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
