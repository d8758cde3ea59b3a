"""The cursor of a resource: what dlt keeps of it in the state, in the terms of the API's own filters."""

from datetime import datetime

from dlt.sources import incremental

from toloka_source.catalog import Endpoint
from toloka_source.tables.full_scans import LAG


def window_cursor(endpoint: Endpoint, start: datetime | None, end: datetime | None) -> incremental[datetime]:
    """Return the cursor of a resource, for a range of time if it has an end."""
    return incremental[datetime](
        _cursor_path(endpoint),
        initial_value=start,
        end_value=end,
        lag=LAG.total_seconds(),
        range_start="open",
        range_end="closed",
        allow_external_schedulers=False,
    )


def has_our_terms(cursor: incremental[datetime], endpoint: Endpoint) -> bool:
    """Tell whether the cursor is `window_cursor`'s; one that the user has set goes by dlt's rules, row by row."""
    terms = (cursor.cursor_path, cursor.lag, cursor.range_start, cursor.range_end)
    return terms == (_cursor_path(endpoint), LAG.total_seconds(), "open", "closed")


def _cursor_path(endpoint: Endpoint) -> str:
    """Return the column by whose name dlt keeps the cursor: it makes one of it where there is none."""
    return ["id", *(cursor.name for cursor in endpoint.cursors if cursor.is_column)][-1]
