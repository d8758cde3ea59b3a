"""The page that `--report` writes: what is loaded and what the run did, in one HTML file that needs no network.

The numbers come from the views for BI tools, added up by the database: the page stays small however large the account.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException

from toloka_source.bi.engines import ENGINES
from toloka_source.bi.page_queries import queries
from toloka_source.bi.trust import check_owners, own_names_only
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.bi.view_sql import DATASET, dataset_of
from toloka_source.destinations.failures import translated
from toloka_source.destinations.place import only_read
from toloka_source.destinations.secrets import without_secrets
from toloka_source.errors import ConfigurationError, DestinationError, FileError
from toloka_source.report import LoadReport

Row = Mapping[str, Any]


def check_report(path: str | None, destination: Destination[Any, Any]) -> None:
    """Find what would stop a page from being written, before anything is loaded.

    Args:
        path: The file; None: no page is wanted.
        destination: What will be loaded into.

    Raises:
        ConfigurationError: The page can't be written.
    """
    if path is None:
        return
    if destination.destination_type not in ENGINES:
        name = destination.destination_name
        raise ConfigurationError("report", path, f"needs duckdb, ducklake or postgres, not {name}")
    if not all(map(find_spec, ("altair", "vl_convert"))):
        raise ConfigurationError("report", path, "needs the extra report: pip install 'toloka-source[report]'")
    if Path(path).is_dir():
        raise ConfigurationError("report", path, "is a folder; name a file")
    try:
        _write(path, "", keep=False)
    except OSError as error:
        raise ConfigurationError("report", path, f"can't be written: {error.strerror}") from error


def write_report(path: str, pipeline: dlt.Pipeline, reports: Sequence[LoadReport]) -> int:
    """Write the page.

    Args:
        path: The file; it is replaced at once, when the new one is whole.
        pipeline: What was run.
        reports: What it did; of a back-fill, what each window's load did.

    Returns:
        The file's size in bytes.

    Raises:
        DestinationError: The views can't be read, or aren't ours, or not of this dataset.
        FileError: The page can't be written.
    """
    from toloka_source.bi.page import page  # noqa: PLC0415 - only who wants a page needs the extra

    engine = ENGINES[pipeline.destination.destination_type].title
    try:
        data = _read(pipeline)
    except (DestinationException, DestinationError) as error:
        raise DestinationError(f"loaded, but without a report: {translated(without_secrets(error))}") from error
    parts = [part for report in reports for part in report.resources]
    text = page(data, parts, f"{pipeline.dataset_name} in {engine}")
    try:
        _write(path, text)
    except OSError as error:
        raise FileError(path, str(error.strerror), "loaded, but without a report: ") from error
    return len(text.encode())


def _read(pipeline: dlt.Pipeline) -> dict[str, list[Row]]:
    engine = ENGINES[pipeline.destination.destination_type]
    with only_read(pipeline), pipeline.destination_client() as destination:
        client: Any = destination.sql_client  # type: ignore[attr-defined] # both engines' clients have one
        with own_names_only(client, engine):
            check_owners(client, engine, DATASET)
            comments = dict(client.execute_sql(engine.comments, DATASET))
            datasets = {dataset_of(comments.get(view)) for view in VIEWS}
            if datasets != {client.capabilities.casefold_identifier(client.dataset_name)}:
                raise DestinationError(f"the views in {DATASET} aren't of this dataset; load it with views=True")
            ours = [name for name, comment in comments.items() if dataset_of(comment) in datasets]
            return {name: _rows(client, query) for name, query in queries(ours).items()}


def _rows(client: Any, query: str) -> list[Row]:  # noqa: ANN401 - dlt's client of either engine
    with client.execute_query(query) as cursor:
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _write(path: str, text: str, *, keep: bool = True) -> None:
    """Write a file at once: whoever opens it meanwhile sees the old one, or none. It keeps the old one's mode."""
    target = Path(path)
    # a name that nobody can guess, of a file that wasn't there, which its owner alone can read
    begin = f".{target.name}."
    with NamedTemporaryFile("w", encoding="utf-8", delete=False, dir=target.parent, prefix=begin) as output:
        part = Path(output.name)
        try:
            output.write(text)
            output.flush()
            if keep:
                with suppress(FileNotFoundError):
                    part.chmod(target.stat().st_mode)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
