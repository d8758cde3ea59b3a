"""Pages, put together to what becomes one table."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from toloka_source.api.client import Item, Page
from toloka_source.settings import EPOCH

TABLE_ROWS = 5_000
"""Pages are put together to tables of about so many rows: a table costs dlt the same, whatever its size."""


def batches(pages: Iterable[Page]) -> Iterator[tuple[list[Item], datetime]]:
    """Yield some thousand objects at once, and when they were read; one batch at least, even if it is empty."""
    items: list[Item] = []
    moment = EPOCH
    for page in pages:
        if len(items) >= TABLE_ROWS:
            yield items, moment
            items = []
        items += page.items
        moment = max(moment, page.as_of)
    yield items, moment
