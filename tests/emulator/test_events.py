"""What happens in the lists, and what tells of it."""

from datetime import UTC, datetime

import pytest

from toloka_source.catalog import ENDPOINTS
from toloka_source.emulator import Account, Clock
from toloka_source.emulator.fields import endpoint_of
from toloka_source.emulator.query import parse

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
STAMP, LATER = "2026-03-01T12:30:15.250", "2026-03-01T13:30:15.250"


@pytest.fixture
def account() -> Account:
    return Account(Clock(NOW))


def page(account: Account, resource: str, **params: str) -> bytes:
    return account.page(resource, parse(endpoint_of(resource), params.items()))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_any_list_can_be_changed(account: Account, name: str) -> None:
    first, second = account.create(name), account.create(name, brand_new=[1])
    assert (second["brand_new"], second["id"] == first["id"]) == ([1], False)
    for cursor in ENDPOINTS[name].cursors:
        assert first.get(cursor.name) in ((STAMP,) if cursor.is_never_null else (STAMP, None))
    account.clock.advance(hours=1)
    assert account.edit(name, first["id"], brand_new=2) == first | {"brand_new": 2}
    account.delete(name, second["id"])
    assert account.objects(name) == [first | {"brand_new": 2}]
    if ENDPOINTS[name].ids in ("decimal", "object_id"):
        assert [item["id"] for item in (first, account.create(name))] == account.ids(name)
    with pytest.raises(KeyError):
        account.delete(name, second["id"])


def test_a_pools_life(account: Account) -> None:
    project = account.create_project()
    pool = account.create("pools")
    assert (pool["project_id"], pool["status"], "last_started" in pool) == (project["id"], "CLOSED", False)
    account.clock.advance(hours=1)
    opened = account.open_pool(pool["id"])
    assert opened == pool | {"status": "OPEN", "last_started": LATER}
    closed = account.close_pool(pool["id"], "COMPLETED")
    assert closed == opened | {"status": "CLOSED", "last_stopped": LATER, "last_close_reason": "COMPLETED"}
    assert account.archive_pool(pool["id"]) == closed | {"status": "ARCHIVED"}


def test_a_tolokers_skill_has_a_time_of_its_last_change(account: Account) -> None:
    held = account.set_user_skill("somebody", "7", 87.5)
    assert (held["user_id"], held["skill_id"], held["value"], held["exact_value"]) == ("somebody", "7", 88, 87.5)
    assert held["created"] == held["modified"] == STAMP
    account.clock.advance(hours=1)
    assert account.set_user_skill("somebody", "7", 3) == held | {"value": 3, "exact_value": 3, "modified": LATER}
    assert account.set_user_skill("somebody", "8", 3)["created"] == LATER
    assert account.set_user_skill("else", "7", 3)["created"] == LATER


def test_a_field_that_is_not_sent_is_filtered_by(account: Account) -> None:
    first, second = account.create("skills"), account.create("skills")
    account.add("skills", {"id": "9", "name": "as old as ever"})
    account.clock.advance(hours=1)
    edited = account.edit_skill(first["id"], name="another name")
    assert edited == account.get("skills", first["id"]) == first | {"name": "another name"}
    account.edit("skills", second["id"], name="as the API's own change")
    assert "modified" not in edited | account.get("skills", second["id"])
    assert b"modified" not in page(account, "skills")
    assert page(account, "skills", modified_gt=STAMP) == page(account, "skills", id_lte=first["id"])
    assert page(account, "skills", modified_lte=STAMP) == page(account, "skills", id_gt=first["id"], id_lt="9")
    account.edit("skills", first["id"], modified=STAMP)
    assert page(account, "skills", modified_lte=STAMP) == page(account, "skills", id_lt="9")


def test_no_time_of_a_thread_tells_of_a_reply(account: Account) -> None:
    thread = account.create("message_threads", folders=["INBOX", "UNREAD"])
    account.clock.advance(hours=1)
    replied = account.reply_to_thread(thread["id"], "Sorry")
    assert replied["folders"] == ["INBOX", "OUTBOX"]
    assert replied["messages"][1:] == thread["messages"]
    newest = replied["messages"][0]
    assert (newest["text"], newest["from"]["role"], newest["created"]) == ({"EN": "Sorry"}, "REQUESTER", LATER)
    assert replied | {"folders": 0, "messages": 0} == thread | {"folders": 0, "messages": 0}


def test_an_operation_waits_runs_and_ends(account: Account) -> None:
    waits = account.create("operations", type="POOL.OPEN", parameters={"pool_id": "1"})
    assert (waits["status"], waits["submitted"], "started" in waits) == ("PENDING", STAMP, False)
    account.clock.advance(hours=1)
    runs = account.run_operation(waits["id"])
    assert runs == waits | {"status": "RUNNING", "started": LATER, "progress": 1}
    ended = account.finish_operation(waits["id"])
    assert ended == runs | {"status": "SUCCESS", "finished": LATER, "progress": 100}
    other = account.run_operation(account.create("operations")["id"])
    assert account.finish_operation(other["id"], "FAIL")["progress"] == 1
