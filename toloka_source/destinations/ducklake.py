"""DuckLake's catalog, which whoever opens it first makes."""

import dlt
from tenacity import retry, retry_if_exception_message, stop_after_attempt, wait_random_exponential

from toloka_source._dlt import DUCKLAKE


def make_catalog(pipeline: dlt.Pipeline) -> None:
    """Have the catalog of a lake made, if the pipeline loads into one: all but one of those that make it at once fail.

    Raises:
        DestinationConnectionError: It can't be.
    """
    if pipeline.destination.destination_type == DUCKLAKE:
        _open(pipeline)


@retry(
    # DuckDB's words: its errors are of one type
    retry=retry_if_exception_message(match=r"(?s).*Failed to (initialize|probe) DuckLake"),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    reraise=True,
)
def _open(pipeline: dlt.Pipeline) -> None:
    with pipeline.destination_client():
        pass
