"""The emulator's account: lifelike objects, changes and the clock."""

import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from toloka_source.emulator import MISSING, Account, Clock

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_999, tzinfo=UTC)


@pytest.fixture(scope="module")
def busy() -> Account:
    return Account.lifelike(projects=2000, clock=Clock(NOW))


def share(items: list[dict[str, Any]], field: str, value: object) -> float:
    return [item.get(field) for item in items].count(value) / len(items)


def test_the_same_arguments_give_the_same_account() -> None:
    one, same = (Account.lifelike(projects=50, clock=Clock(NOW)) for _ in range(2))
    other = Account.lifelike(projects=50, seed=1, clock=Clock(NOW))
    assert one.projects == same.projects
    assert one.trainings == same.trainings
    assert one.projects != other.projects


def test_how_many() -> None:
    def sizes(account: Account) -> tuple[int, int]:
        return len(account.ids("projects")), len(account.ids("trainings"))

    assert sizes(Account.lifelike()) == (1000, 750)
    assert sizes(Account.lifelike(projects=4)) == (4, 3)
    assert sizes(Account.lifelike(projects=2, trainings=9)) == (2, 9)
    assert sizes(Account.lifelike(projects=0)) == (0, 0)
    assert sizes(Account.lifelike(projects=1, trainings=0)) == (1, 0)


def test_lifelike_projects(busy: Account) -> None:
    projects = busy.projects
    numbers = [int(item["id"]) for item in projects]
    times = [datetime.fromisoformat(item["created"]) for item in projects]
    assert projects[0]["id"] == "95"
    assert max(len(item["id"]) for item in projects) == 8
    assert numbers == sorted(set(numbers))
    assert times == sorted(times)
    assert len(set(times)) < len(times)
    assert {len(item["created"]) for item in projects} == {19, 23, 26}
    assert max(times) <= (NOW - timedelta(minutes=10)).replace(tzinfo=None)
    assert min(times) > (NOW - timedelta(days=4 * 365)).replace(tzinfo=None)
    assert 0.12 < share(projects, "status", "ARCHIVED") < 0.18
    assert 1500 < statistics.mean(len(msgspec.json.encode(item)) for item in projects) < 3000
    assert len({item["public_description"] for item in projects}) >= 7
    assert {item["task_spec"]["view_spec"]["type"] for item in projects} == {"classic", "tb"}
    for field in ("private_comment", "metadata", "localization_config", "sensitive"):
        assert 0 < sum(field in item for item in projects) < len(projects)
    for item in projects:
        on_map = item["assignments_issuing_type"] == "MAP_SELECTOR"
        assert ("assignments_issuing_view_config" in item) is on_map


def test_lifelike_trainings(busy: Account) -> None:
    trainings = busy.trainings
    born = {item["id"]: datetime.fromisoformat(item["created"]) for item in busy.projects}
    latest = (NOW - timedelta(minutes=10)).replace(tzinfo=None)
    statuses = Counter(item["status"] for item in trainings)
    assert set(statuses) == {"OPEN", "CLOSED", "ARCHIVED", "LOCKED"}
    assert statuses["LOCKED"] < statuses["OPEN"]
    assert 0.15 < sum("last_started" not in item for item in trainings) / len(trainings) < 0.25
    assert len({item.get("last_close_reason") for item in trainings}) > 4
    for item in trainings:
        created = datetime.fromisoformat(item["created"])
        assert born[item["project_id"]] <= created <= latest
        if "last_started" in item:
            assert created <= datetime.fromisoformat(item["last_started"]) <= latest
        else:
            assert item["status"] in {"CLOSED", "ARCHIVED"}
            assert "last_stopped" not in item
        if "last_stopped" in item:
            assert created <= datetime.fromisoformat(item["last_stopped"]) <= latest
        assert ("last_stopped" in item) is ("last_close_reason" in item)


def test_until_in_any_zone() -> None:
    clock = Clock(NOW)
    naive = Account.lifelike(projects=20, clock=clock, until=datetime(2020, 1, 1, 12))  # noqa: DTZ001 - means UTC
    aware = Account.lifelike(
        projects=20, clock=clock, until=datetime(2020, 1, 1, 15, tzinfo=timezone(timedelta(hours=3)))
    )
    assert naive.projects == aware.projects
    assert naive.projects[-1]["created"] <= "2020-01-01T12:00:00"


def test_a_projects_life() -> None:
    account = Account(Clock(NOW))
    project = account.create_project(public_name="Mine", private_comment=MISSING, sensitive=None, extra=[1])
    assert project["id"] == "1"
    assert project["public_name"] == "Mine"
    assert project["status"] == "ACTIVE"
    assert project["created"] == "2026-03-01T12:30:15.250"
    assert "private_comment" not in project
    assert project["sensitive"] is None
    assert project["extra"] == [1]
    assert account.get("projects", "1") == project

    account.clock.advance(hours=1)
    archived = account.archive_project("1")
    assert archived == project | {"status": "ARCHIVED"}
    edited = account.edit_project("1", extra=MISSING, public_name="Ours")
    assert edited["public_name"] == "Ours"
    assert "extra" not in edited
    assert account.projects == [edited]


def test_a_trainings_life() -> None:
    account = Account(Clock(NOW))
    training = account.create_training("95", id="41", private_name="Exam")
    assert (training["id"], training["project_id"], training["status"]) == ("41", "95", "CLOSED")
    assert "last_started" not in training

    account.clock.advance(seconds=1)
    started = account.start_training("41")
    assert started == training | {"status": "OPEN", "last_started": "2026-03-01T12:30:16.250"}
    account.clock.advance(timedelta(minutes=1))
    closed = account.close_training("41", "COMPLETED")
    assert closed == started | {
        "status": "CLOSED",
        "last_stopped": "2026-03-01T12:31:16.250",
        "last_close_reason": "COMPLETED",
    }
    assert account.close_training("41")["last_close_reason"] == "MANUAL"
    assert account.archive_training("41")["status"] == "ARCHIVED"
    assert account.edit_training("41", metadata={"a": ["b"]})["metadata"] == {"a": ["b"]}
    assert account.create_training("95")["id"] == "42"


def test_fields_come_in_the_apis_order() -> None:
    account = Account()
    project = account.create_project()
    assert list(project)[:2] == ["id", "public_name"]
    assert list(project)[-2:] == ["status", "created"]
    account.create_training(project["id"])
    training = account.close_training(account.start_training("1")["id"])
    assert list(training)[:2] == ["id", "project_id"]


def test_a_time_of_a_whole_second_has_no_fraction() -> None:
    account = Account(Clock(NOW.replace(microsecond=999)))
    assert account.create_project()["created"] == "2026-03-01T12:30:15"


def test_raw_objects() -> None:
    account = Account()
    odd = {"id": "12345678901234567890123", "created": "no time", "owner": 5, "status": None, "new": {"a": 1}}
    account.add("projects", odd)
    assert account.projects == [odd]
    assert account.create_project()["id"] == "12345678901234567890124"
    odd["new"] = "changed later"
    assert account.projects[0]["new"] == {"a": 1}
    exact = {"id": "1", "number": msgspec.Raw(b"1.50e3")}
    account.add("projects", exact)
    assert account.ids("projects")[0] == "1"
    for wrong in ({"id": "1"}, {"id": 2}, {"id": "x"}, {"id": ""}, {}):
        with pytest.raises(ValueError, match="id"):
            account.add("projects", wrong)
    with pytest.raises(ValueError, match="can't be changed"):
        account.edit_project("1", id="3")
    for unknown in ("2", "9" * 30):
        with pytest.raises(KeyError):
            account.get("projects", unknown)


def test_a_clock_that_stands_still() -> None:
    clock = Clock(datetime(2026, 1, 1))  # noqa: DTZ001 - means UTC
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(timedelta(minutes=1), seconds=1, hours=1, days=1)
    assert clock.now() == datetime(2026, 1, 2, 1, 1, 1, tzinfo=UTC)
    clock.set(datetime(2025, 6, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2025, 6, 1, 10, tzinfo=UTC)


def test_the_systems_clock() -> None:
    before = datetime.now(UTC)
    clock = Clock()
    assert before <= clock.now() <= datetime.now(UTC)
    clock.advance(days=1)
    stopped = clock.now()
    assert stopped >= before + timedelta(days=1)
    assert clock.now() == stopped
