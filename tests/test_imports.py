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


SHOW = """
import os, sys
import dlt, pyarrow  # what takes long to import is imported once
import toloka_source
for name in toloka_source.__all__:
    if os.fork() == 0:
        if "rooms first" in sys.argv:
            import toloka_source.loading.load, toloka_source.backfills.backfill, toloka_source.source
        value = getattr(toloka_source, name)
        print(name, type(value).__name__, value.__class__, flush=True)
        os._exit(0)
    _, status = os.wait()
    assert status == 0, name
"""
"""Shows what each public name is, in a process that has imported nothing else of ours."""


def test_a_public_name_is_the_same_whatever_was_imported_before() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", SHOW, *words], check=True, capture_output=True, text=True).stdout
        for words in ([], ["rooms first"])
    )
    assert first == second
    kinds = dict(line.split()[:2] for line in first.splitlines())
    assert list(kinds) == toloka_source.__all__
    assert {name for name, kind in kinds.items() if kind == "module"} == {"errors", "schemas"}


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(AttributeError, match="'toloka_source' has no attribute 'lod'"):
        _ = toloka_source.lod  # type: ignore[attr-defined]
    assert {*toloka_source.__all__} <= {*dir(toloka_source)}
