"""The documentation says what is: it is compared with the code, and what can be run of it is run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import toloka_source
from tests.bi.test_connections import ROLE
from tests.docs import dbt_sources, schema_picture
from tests.docs.pages import DOCS, ROOT, blocks, current, parts_of, texts
from tests.docs.parts import PARTS
from toloka_source import errors
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.cli.options import command_parser
from toloka_source.emulator import Emulator

README = ROOT / "README.md"
TEXTS = texts()
ANYWHERE = "\n".join(text.read_text() for text in TEXTS)


def name(path: Path) -> str:
    """Return how a test calls a text."""
    return str(path.relative_to(ROOT))


# what is made from the code


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_what_is_made_from_the_code_is_current(page: Path) -> None:
    assert page.read_text() == current(page), "write it: python -m tests.docs"


def test_each_part_stands_once() -> None:
    assert sorted(part for page in TEXTS for part in parts_of(page)) == sorted(PARTS)


def test_a_stale_part_is_found(own_folder: Path) -> None:
    page = own_folder / "page.md"
    page.write_text("before\n<!-- begin: one -->\nold\n<!-- end -->\nafter\n")
    assert current(page, {"one": lambda: "new\n"}) == "before\n<!-- begin: one -->\nnew\n<!-- end -->\nafter\n"
    with pytest.raises(KeyError):
        current(page, {})


def test_the_picture_of_the_tables_is_current() -> None:
    assert not schema_picture.is_stale(), "draw it: python -m tests.docs"


def test_the_sources_for_dbt_are_current() -> None:
    assert not dbt_sources.is_stale(), "write them: python -m tests.docs"


def test_the_command_says_that_nothing_is_stale() -> None:
    subprocess.run([sys.executable, "-m", "tests.docs", "--check"], cwd=ROOT, check=True)


def test_every_error_is_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    todo = [errors.TolokaError]
    while todo:
        error = todo.pop()
        todo += error.__subclasses__()
        assert error is errors.ApiError or error.__name__ in tree


# what is written by hand


def test_the_readme_has_each_table_and_view() -> None:
    for one in (*DEFAULT_ENDPOINTS, "rejected_items", *VIEWS):
        assert f"| `{one}` |" in README.read_text()


def test_every_public_name_is_on_the_page_of_python() -> None:
    page = (DOCS / "reference" / "python.md").read_text()
    for one in toloka_source.__all__:
        assert re.search(rf"\b{one}\b", page), one


def test_every_picture_is_there_and_shown() -> None:
    shown = {
        (text.parent / picture).resolve()
        for text in TEXTS
        for picture in re.findall(r"!\[.+?\]\((.+?)\)", text.read_text())
    }
    assert shown <= {*DOCS.rglob("*.png"), *DOCS.rglob("*.svg")}
    assert {*DOCS.rglob("*.svg")} <= shown


@pytest.mark.parametrize("text", [README, ROOT / "CONTRIBUTING.md"], ids=name)
def test_what_is_linked_is_there(text: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", text.read_text())
    assert links
    assert all(link.startswith("https://") or (ROOT / link).is_file() for link in links)


def test_every_session_that_is_named_is_there() -> None:
    sessions = re.findall(r"^def ([a-z]\w*)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:nox|scripts/test) -s ([a-z ]+[a-z])", ANYWHERE))
    assert named
    assert {one for names in named for one in names.split()} <= set(sessions)


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?<![\w/.~])(?:pipelines|scripts|sources|tests|docs|toloka_source)/[\w./-]*\w", ANYWHERE))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/explanation/speed.md", "docs/explanation/other-tools.md"])
def test_figures_of_speed_and_memory_are_all_made_from_the_results(page: str) -> None:
    by_hand = re.sub(r"<!-- begin: speed: .*?<!-- end -->", "", (ROOT / page).read_text(), flags=re.DOTALL)
    assert re.findall(r"\b\d[\d.,]* (?:s|x|ms|min|MB|GB|seconds|times)\b", by_hand) == []


def test_every_variable_of_the_pipelines_is_documented() -> None:
    for page, script in (("airflow", "airflow_dag"), ("dagster", "dagster_definitions")):
        variables = set(re.findall(r'"(TOLOKA_\w+)"', (ROOT / "pipelines" / f"{script}.py").read_text()))
        assert variables
        for variable in variables:
            assert f"`{variable}`" in (DOCS / "guides" / f"{page}.md").read_text()


def test_the_role_for_readers_is_the_one_that_is_tested() -> None:
    (script,) = (one for one in blocks(DOCS / "guides" / "postgresql.md", "sql") if "CREATE ROLE" in one)
    tested = ROLE.format(reader="bi", loader="loader").replace("'reader'", "'...'")
    assert re.sub("--.*", "", script).split() == f"{tested.rstrip()};".split()


# what can be run

EXAMPLES = [(text, number) for text in TEXTS for number, _ in enumerate(blocks(text, "python"))]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(("text", "number"), EXAMPLES, ids=lambda value: name(value) if isinstance(value, Path) else "")
def test_examples_in_python(api: Emulator, monkeypatch: pytest.MonkeyPatch, text: Path, number: int) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "any")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    exec(compile([*blocks(text, "python")][number], name(text), "exec"), {})  # noqa: S102 - our own text


@pytest.mark.slow
def test_the_example_of_a_back_fill_is_a_script(api: Emulator, own_folder: Path) -> None:
    (example,) = blocks(DOCS / "guides" / "backfills.md", "python")
    (own_folder / "script.py").write_text(example)
    api.account.create_project(created="2025-01-15T00:00:00")
    variables = {"SOURCES__TOLOKA__TOKEN": "any", "SOURCES__TOLOKA__BASE_URL": api.base_url}
    run = subprocess.run(
        [sys.executable, "script.py"], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["2025-01-01", "2025-02-01"]
    with duckdb.connect("toloka.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM toloka_data.projects").fetchone() == (1,)


def commands() -> list[str]:
    """Return the words after each call of our command in the shell's lines, crontabs and units."""
    code = "\n".join(block for text in TEXTS for kind in ("sh", "cron", "ini") for block in blocks(text, kind))
    lines = re.sub("#.*|>> .*", "", code.replace("\\\n", " "))
    found = re.findall(r"(?:^|[ /=])(toloka-source|scripts/demo)(?: (.*))?$", lines, re.MULTILINE)
    return [("demo " if command == "scripts/demo" else "") + words for command, words in found]


def test_commands_have_options_that_there_are() -> None:
    assert len(commands()) > 10
    for words in commands():
        assert command_parser().parse_args(shlex.split(words)).command
