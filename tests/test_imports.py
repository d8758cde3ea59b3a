"""What an import brings along."""

import subprocess
import sys

import pytest

import toloka_source

AFTER = "import sys; {}; print(*sorted({{'dlt', 'duckdb', 'pyarrow'}} & {{*sys.modules}}))"


@pytest.mark.parametrize(
    ("statement", "brought"),
    [
        ("import toloka_source", []),
        ("import toloka_source.emulator", []),
        ("from toloka_source.errors import TolokaError", []),
        ("from toloka_source.catalog import ENDPOINTS", ["pyarrow"]),
        ("from toloka_source import split_windows", []),
    ],
)
def test_dlt_is_imported_when_it_is_used(statement: str, brought: list[str]) -> None:
    command = [sys.executable, "-c", AFTER.format(statement)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == brought


@pytest.mark.parametrize("name", toloka_source.__all__)
def test_a_public_name_is_the_same_whatever_was_imported_before(name: str) -> None:
    rooms = "import toloka_source.loading.load, toloka_source.backfills.backfill, toloka_source.source"
    shown = f"import toloka_source; value = toloka_source.{name}; print(type(value).__name__, value.__class__)"
    first, second = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for code in (shown, f"{rooms}; {shown}")
    )
    assert first == second


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(AttributeError, match="'toloka_source' has no attribute 'lod'"):
        _ = toloka_source.lod  # type: ignore[attr-defined]
    assert {*toloka_source.__all__} <= {*dir(toloka_source)}
