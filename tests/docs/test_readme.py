"""The README says what is: its tables, commands and modules are compared with the code."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.api.test_faults import fault_table
from toloka_source import ENDPOINTS
from toloka_source.bi.view_schemas import NUMBER, VIEWS
from toloka_source.catalog import schemas
from toloka_source.emulator import Emulator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

TYPE_NAMES = {
    schemas.TEXT: "text",
    schemas.TIME: "timestamp",
    schemas.WHOLE: "bigint",
    schemas.YES_NO: "boolean",
    NUMBER: "double",
}


def columns_table(schema: pa.Schema) -> str:
    """Return the README's table of a schema."""
    lines = ["| column | type | what it is |", "|---|---|---|"]
    for field in schema:
        kind = "json" if schemas.is_json(field) else TYPE_NAMES[field.type]
        lines.append(f"| `{field.name}` | {kind} | {schemas.description(field)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("schema", [schemas.PROJECTS, schemas.TRAININGS, schemas.REJECTED_ITEMS])
def test_tables_of_columns(schema: pa.Schema) -> None:
    assert columns_table(schema) in README


def test_columns_of_the_views() -> None:
    text = (ROOT / "docs" / "views.md").read_text()
    for name, schema in VIEWS.items():
        assert f"## {name}\n\n{schemas.description(schema)}.\n\n{columns_table(schema)}\n" in text
        assert f"| `{name}` |" in README


def test_the_table_of_faults() -> None:
    assert fault_table().strip() in README


@pytest.mark.parametrize("words", [["--help"], ["backfill", "--help"]])
def test_every_option_of_the_command_is_in_the_readme(words: list[str]) -> None:
    script = ROOT / "pipelines" / "toloka_pipeline.py"
    text = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=True).stdout
    for option in set(re.findall(r"--[a-z-]+", text)) - {"--help"}:
        assert f"`{option}" in README


def test_every_filter_is_in_the_readme() -> None:
    for endpoint in ENDPOINTS.values():
        for name in endpoint.filters:
            field, _, comparison = name.rpartition("_")
            assert f"`{field}_*`" in README if comparison in ("gt", "gte", "lt", "lte") else f"`{name}`" in README


def test_every_argument_of_the_source_is_in_the_readme() -> None:
    tree = ast.parse((ROOT / "toloka_source" / "source.py").read_text())
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "toloka")
    for argument in function.args.args:
        assert f"`{argument.arg}`" in README


def test_the_examples_in_python(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "any")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - our own text
    assert {request.resource for request in api.requests} == set(ENDPOINTS)


def test_the_example_of_a_back_fill_is_a_script(api: Emulator, own_folder: Path) -> None:
    (example,) = (text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "backfill" in text)
    (own_folder / "script.py").write_text(example)
    api.account.create_project(created="2025-01-15T00:00:00")
    variables = {"SOURCES__TOLOKA__TOKEN": "any", "SOURCES__TOLOKA__BASE_URL": api.base_url}
    run = subprocess.run(
        [sys.executable, "script.py"], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["2025-01-01", "2025-02-01"]
    with duckdb.connect("toloka.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM toloka_data.projects").fetchone() == (1,)


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
