"""A list is an entry and a schema: one that is made up here goes through everything else as it is."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.conftest import Warehouse, expected_rows
from tests.docs import parts
from toloka_source import load, load_window, resource_names, split_windows
from toloka_source.bi.html_report import write_report
from toloka_source.catalog import Endpoint, endpoints, schemas
from toloka_source.catalog.endpoint import Cursor
from toloka_source.catalog.filters import equal, ranges

NAME = "quality_audits"


def column(name: str, kind: pa.DataType) -> pa.Field:
    """Return a column, which says what it is."""
    return pa.field(name, kind, nullable=name != "id", metadata={b"description": f"the audit's {name}".encode()})


AUDITS = Endpoint(
    name=NAME,
    path="quality-audits",
    nouns=("audit", "audits"),
    schema=pa.schema(
        [
            column("id", schemas.TEXT),
            column("pool_id", schemas.TEXT),
            column("verdict", schemas.TEXT),
            column("score", schemas.NUMBER),
            column("fine", schemas.MONEY),
            column("auditor__name", schemas.TEXT),
            column("requested", schemas.TIMESTAMP),
            column("answered", schemas.TIMESTAMP),
            column("appealed", schemas.TIMESTAMP),
        ]
    ),
    ids="uuid",
    cursors=(Cursor("requested", is_never_null=True), Cursor("answered"), Cursor("appealed")),
    filters={
        **equal("verdict"),
        **ranges({"id": "text", "requested": "time", "answered": "time", "appealed": "time"}),
    },
    sort_keys=("id", "requested"),
    greatest_limit=40,
    page_size=40,
    can_be_deleted=True,
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the list into the catalogue: an entry and a schema, and no other line anywhere."""
    monkeypatch.setitem(endpoints._ENDPOINTS, NAME, AUDITS)  # noqa: SLF001 - a list is added in the file itself


class Audits(Warehouse):
    """Loads the made-up list, and makes the views."""

    views = True

    def source(self, **arguments: Any) -> Any:
        """Build the source of this list alone."""
        return super().source(resources=[NAME], **arguments)

    def assert_right(self) -> None:
        """Compare the table and its view with the account."""
        objects = self.api.account.objects(NAME)
        assert self.rows(NAME) == expected_rows(objects, AUDITS.schema)
        with duckdb.connect("toloka.duckdb", read_only=True) as connection:
            found = connection.sql(f"SELECT id, verdict FROM toloka_bi.{NAME} WHERE NOT is_gone ORDER BY id").fetchall()  # noqa: S608
        assert found == sorted((item["id"], item.get("verdict")) for item in objects)


@pytest.fixture
def audits(warehouse: Warehouse) -> Audits:
    """Return a warehouse of the made-up list, of which there are some pages."""
    for number in range(100):
        # some were never answered, and none appealed
        warehouse.api.account.create(
            NAME, verdict=f"{number % 3}", appealed=None, **({"answered": None} if number % 2 else {})
        )
    warehouse.api.account.clock.advance(hours=1)
    return Audits(warehouse.api)


def test_it_is_loaded_and_followed(audits: Audits) -> None:
    account = audits.api.account
    first = audits.load().resources[0]
    assert (first.name, first.kind, first.new, first.requests) == (NAME, "first", 100, 3)
    audits.assert_right()

    account.clock.advance(hours=2)
    account.create(NAME, appealed=None)
    answered, appealed, both = (account.ids(NAME)[place] for place in (3, 20, 50))
    now = account.clock.now().isoformat().removesuffix("+00:00")
    account.edit(NAME, answered, answered=now)
    account.edit(NAME, appealed, appealed=now)
    account.edit(NAME, both, answered=now, appealed=now)
    second = audits.load().resources[0]
    assert (second.kind, second.new, second.changed, second.requests) == ("increment", 1, 3, 3)
    audits.assert_right()

    account.edit(NAME, appealed, verdict="edited, of which no cursor tells")
    gone = account.ids(NAME)[7]
    account.delete(NAME, gone)
    third = audits.load(rescan_after_hours=0).resources[0]
    assert (third.kind, third.changed, third.gone) == ("re-scan", 1, 1)
    with audits.pipeline.sql_client() as client:
        assert client.execute_sql("SELECT resource, id FROM gone_items") == [(NAME, gone)]


def test_it_has_a_history(audits: Audits) -> None:
    audits.load(history=True)
    audits.api.account.edit(NAME, audits.api.account.ids(NAME)[0], verdict="another")
    audits.load(history=True, rescan_after_hours=0)
    assert audits.count(f"{NAME}_history") == 101


def test_it_can_be_filtered(audits: Audits) -> None:
    report = audits.load(filters={NAME: {"verdict": "1"}})
    assert report.resources[0].rows == 33


def test_windows_of_it(audits: Audits) -> None:
    for window in split_windows("2026-03-01", "2026-04-01", "week"):
        load_window(window, "duckdb", resources=[NAME], views=True, token="any", base_url=audits.api.base_url)  # noqa: S106
    audits.assert_right()


def test_the_page_and_the_log_have_it(audits: Audits, tmp_path: Path) -> None:
    report = load(audits.pipeline, audits.source(), views=True)
    write_report(str(tmp_path / "page.html"), audits.pipeline, [report])
    assert NAME in (tmp_path / "page.html").read_text()
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT resource, new_rows FROM toloka_bi.loads").fetchall() == [(NAME, 100)]


def test_the_documentation_has_it() -> None:
    assert "| `quality_audits` |" in parts.lists()
    assert "the audit's verdict" in parts.further_tables()
    assert "the audit's verdict" in parts.further_views()
    assert "`requested_gt`" in parts.filters()


def test_it_can_be_asked_for() -> None:
    assert NAME in resource_names("all")
    assert resource_names(f"projects,{NAME}") == ["projects", NAME]
