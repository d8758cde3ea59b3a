"""Toloka's projects and trainings in a warehouse: a dlt source.

    Toloka API page (JSON bytes)
        client.py      authenticated GET, one retry policy        -> Page
        scan.py        the requests that make one window complete -> pages
        arrow.py       pages                                      -> pyarrow.Table
        source.py      dlt source: cursor -> window -> scan -> tables, merged on id
        load.py        one run of a pipeline: heal, load, report
        windows.py     a range of time in windows, and the load of one
        backfill.py    many windows, each loaded by a process of its own
    DuckDB, or any other dlt destination

The README has the whole picture.
"""

from toloka_source import errors, schemas
from toloka_source.backfill import backfill
from toloka_source.endpoints import ENDPOINTS, Endpoint
from toloka_source.errors import TolokaError
from toloka_source.load import load
from toloka_source.report import LoadReport, ResourceReport
from toloka_source.scan import Window
from toloka_source.source import toloka
from toloka_source.windows import load_window, split_windows, window_name

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
    "schemas",
    "split_windows",
    "toloka",
    "window_name",
]
