"""Toloka's projects and trainings in a warehouse: a dlt source.

    catalog/       which lists are loaded, and their columns
    api/           a page of a list over HTTP                        JSON bytes -> Page
    scan/          the requests that make one window complete        -> pages
    tables/        one run of one resource                           pages -> pyarrow.Table
    source.py      the dlt source: a resource for each endpoint, merged on id
    bi/            views for BI tools, and a page with charts
    loading/       one run of a pipeline: recover, load, report, views
    backfills/     a range of time in windows, many at once
    cli/           the command `toloka-source`

Everybody may use `errors.py`, `times.py`, `window.py` and `report.py`; what a pipeline loads into is in
`destinations/`, and every use of what dlt doesn't document in `_dlt.py`. `emulator/` is a Toloka on this machine, and
`unknown_settings.py` warns of what is misspelled.

The public names are imported when they are asked for: so the command's help and the emulator start without dlt.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_source import errors
    from toloka_source.backfills.backfill import backfill
    from toloka_source.backfills.load_window import load_window
    from toloka_source.backfills.windows import split_windows, window_name
    from toloka_source.catalog import ENDPOINTS, Endpoint, resource_names, schemas
    from toloka_source.errors import TolokaError
    from toloka_source.loading.load import load
    from toloka_source.report import LoadReport, ResourceReport
    from toloka_source.source import toloka
    from toloka_source.window import Window

__all__ = [
    "ENDPOINTS",
    "Endpoint",
    "LoadReport",
    "ResourceReport",
    "TolokaError",
    "Window",
    "backfill",
    "errors",
    "load",
    "load_window",
    "resource_names",
    "schemas",
    "split_windows",
    "toloka",
    "window_name",
]

# no room may bear the name of a function: once imported, it would hide it
_PLACES = {
    "errors": "errors",
    "schemas": "catalog.schemas",
    "ENDPOINTS": "catalog",
    "Endpoint": "catalog",
    "LoadReport": "report",
    "ResourceReport": "report",
    "TolokaError": "errors",
    "Window": "window",
    "backfill": "backfills.backfill",
    "load": "loading.load",
    "load_window": "backfills.load_window",
    "resource_names": "catalog",
    "split_windows": "backfills.windows",
    "toloka": "source",
    "window_name": "backfills.windows",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{_PLACES[name]}")
        value = globals()[name] = getattr(module, name, module)
        return value

    def __dir__() -> list[str]:
        """Return the public names too that weren't imported yet."""
        return sorted({*globals(), *__all__})
