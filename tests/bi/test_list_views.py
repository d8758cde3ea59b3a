"""The views of lists that have to be asked for, in DuckDB and PostgreSQL, against the account."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bi.views_place import Place, Row, in_order
from toloka_source.bi.html_report import write_report
from toloka_source.bi.list_views import list_views
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Account, Clock, Emulator

pytest_plugins = ["tests.postgres"]


@pytest.fixture(params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return a database of an account that has something in each list."""
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    clock = Clock(datetime.now(UTC))  # a view knows no other time
    with Emulator(Account.lifelike(40, 30, clock=clock, others=True)) as emulator:
        yield Place(emulator, url)


@pytest.mark.slow
def test_they_are_there_as_soon_as_their_list_is(place: Place) -> None:
    def names() -> set[str]:
        query = "SELECT table_name FROM information_schema.views WHERE table_schema = 'toloka_bi'"
        return {row["table_name"] for row in place.ask(query)}

    place.load()
    assert names() == set(VIEWS)
    place.load(resources=["pools", "skills"])
    assert names() == {*VIEWS, "pools", "skills"}
    place.load(resources="all")
    assert names() == {*VIEWS, *list_views()}
    place.load()  # those of other lists stay
    assert names() == {*VIEWS, *list_views()}
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'toloka_bi' AND table_name = "
    for name, view in list_views().items():
        assert {row["column_name"] for row in place.ask(f"{columns}'{name}'")} == set(view.schema.names)


@pytest.mark.slow
def test_they_say_what_the_account_has(place: Place) -> None:
    account = place.api.account
    account.create("user_bonuses", amount=0.07, assignment_id="no answer's")
    account.create("user_restrictions", scope="PROJECT", project_id="1", will_expire=None)
    place.load(resources="all")
    lifted = account.ids("user_restrictions")[-1]
    account.delete("user_restrictions", lifted)
    place.load(resources="all", rescan_after_hours=0)
    names = {one["id"]: one["public_name"] for one in account.projects}
    pools = {one["id"]: one for one in account.objects("pools")}
    assert in_order(wanted(place, "pools", "pool_id", "project_name", "is_open", "reward")) == in_order(
        [
            {
                "pool_id": one["id"],
                "project_name": names[one["project_id"]],
                "is_open": one["status"] == "OPEN",
                "reward": money(one["reward_per_assignment"]),
            }
            for one in pools.values()
        ]
    )
    assert in_order(wanted(place, "bonuses", "bonus_id", "amount", "project_name")) == in_order(
        [
            {"bonus_id": one["id"], "amount": money(one["amount"]), "project_name": names.get(project_of(one, pools))}
            for one in account.objects("user_bonuses")
        ]
    )
    skills = {one["id"]: one["name"] for one in account.objects("skills")}
    assert in_order(wanted(place, "skills_held", "user_skill_id", "skill_name", "value")) == in_order(
        [
            {"user_skill_id": one["id"], "skill_name": skills[one["skill_id"]], "value": float(one["exact_value"])}
            for one in account.objects("user_skills")
        ]
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    assert in_order(wanted(place, "restrictions", "restriction_id", "is_in_force", "is_gone")) == in_order(
        [
            {
                "restriction_id": one["id"],
                "is_in_force": not one.get("will_expire") or datetime.fromisoformat(one["will_expire"]) > now,
                "is_gone": False,
            }
            for one in account.objects("user_restrictions")
        ]
        + [{"restriction_id": lifted, "is_in_force": False, "is_gone": True}]
    )
    for name in ("skills", "operations", "message_threads", "webhook_subscriptions"):
        assert {row["id"] for row in wanted(place, name, "id")} == set(account.ids(name))


@pytest.mark.slow
def test_the_page_shows_them_on_a_tab_of_their_own(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_report(str(path), place.pipeline, [place.load()])
    assert 'id="tab2"' not in path.read_text()
    write_report(str(path), place.pipeline, [place.load(resources=["user_bonuses"])])
    assert "Bonuses by month" in path.read_text()
    assert "Pools by status" not in path.read_text()
    write_report(str(path), place.pipeline, [place.load(resources="all")])
    text = path.read_text()
    assert 'id="tab2"' in text
    for title in ("Pools by status", "Bonuses by project", "Skills held", "Restrictions in force"):
        assert title in text


def test_a_table_can_be_dropped_and_comes_back(place: Place) -> None:
    place.load(resources=["pools"])
    place.ask("DROP TABLE toloka_data.pools CASCADE")
    place.load(resources=["pools"])
    assert len(place.view("pools")) == len(place.api.account.ids("pools"))


def wanted(place: Place, view: str, *columns: str) -> list[Row]:
    """Return some columns of a view."""
    return place.ask(f"SELECT {', '.join(columns)} FROM toloka_bi.{view}")  # noqa: S608 - names of ours


def money(amount: float | None) -> Decimal | None:
    """Return an amount as the tables have it."""
    return None if amount is None else Decimal(str(amount)).quantize(Decimal("1e-9"))


def project_of(bonus: dict[str, Any], pools: dict[str, dict[str, Any]]) -> str | None:
    """Return the project of the pool that a bonus's answer names."""
    pool, _, answer = (bonus.get("assignment_id") or "").partition("--")
    return str(pools[str(int(pool, 16))]["project_id"]) if answer and str(int(pool, 16)) in pools else None
