"""Tables of results that aren't whole, and the file that the documentation's figures come from."""

from pathlib import Path

from tests.benchmarks import report, results
from tests.benchmarks.kept import Measurement
from tests.benchmarks.measure import Result
from tests.benchmarks.plan import USUAL
from tests.docs.pages import DOCS

CONDITIONS = {
    "time": "2026-11-29T12:00:00Z",
    "load": 0.1,
    "commit": "abc1234",
    "system": "Linux x86_64",
    "cores": 2,
    "python": "3.11.7",
    "packages": {"dlt": "1.31.0"},
}


def measurement(
    rival: str, run: int, *seconds: float, objects: int = USUAL, too_slow: str = "", failed: str = ""
) -> Measurement:
    """Return a run whose phases took so long, as many as there are."""
    results = [
        Result(phase, one / 2, one, one, 100 * one, 7, 1_000, 0.1)
        for phase, one in zip(("first_load", "increment"), seconds, strict=False)
    ]
    return Measurement(rival, objects, 0, run, "1", CONDITIONS, results, too_slow, 10, failed)


FOUND = results.summarize(
    [
        *(measurement("ours", run, seconds, 1) for run, seconds in enumerate((2, 4, 3))),
        *(measurement("floor", run, seconds) for run, seconds in enumerate((1, 8, 3))),
        measurement("singer", 0, 30, too_slow="increment"),
        measurement("airbyte", 0, failed="broken"),
        measurement("ours", 0, 20, objects=200_000),
    ]
)


def rows(table: str) -> dict[str, list[str]]:
    """Return the cells of a table by their first one."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {first: rest for first, *rest in found}


def test_medians_and_ratios_within_each_run() -> None:
    table = rows(report.phase_table(FOUND, "first_load"))
    assert table["this project"] == ["1.50 s", "1.00 x", "3.00 s", "1.00 x", "3.00 s", "300 MB", "7", "1,000"]
    assert table["floor: by hand, no pipeline"][2:4] == ["3.00 s", "1.00 x"]
    assert table["Singer: singer-sdk, target-duckdb (1 run)"][2:4] == ["30.0 s", "15.00 x"]


def test_what_is_missing_is_said() -> None:
    first, increment = (rows(report.phase_table(FOUND, phase)) for phase in ("first_load", "increment"))
    assert first["PyAirbyte"][0] == "failed"
    assert first["toloka-kit and pandas"][0] == "not run"
    assert increment["Singer: singer-sdk, target-duckdb"][0] == "more than 10 min"
    sizes = rows(report.by_size(FOUND, "increment"))
    assert sizes["Singer: singer-sdk, target-duckdb"] == ["not run", *["more than 10 min"] * 3]
    sizes = rows(report.by_size(FOUND, "first_load"))
    assert sizes["this project"] == ["not run", "3.00 s", "20.0 s (1 run)", "not run"]
    assert rows(report.by_latency(FOUND, "first_load"))["this project"] == ["3.00 s, 1.0 x", "not run", "not run"]
    assert "by dlt's `run`: not run" in report.load_and_run(FOUND)


def test_the_file_holds_what_was_written(own_folder: Path) -> None:
    results.write(FOUND, own_folder / "results.json")
    assert results.read(own_folder / "results.json") == FOUND


def test_the_pictures_are_of_the_file() -> None:
    for picture in ("speed-latency-0.png", "speed-growth.png"):
        assert results.digest().encode() in (DOCS / "pictures" / picture).read_bytes(), (
            "scripts/test -s bench -- --publish"
        )
