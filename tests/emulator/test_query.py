"""What each list can be asked: the answers beside those of a plain model, and what is refused."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from toloka_source.catalog import ENDPOINTS, Endpoint
from toloka_source.catalog.filters import Filter
from toloka_source.emulator import Account, Clock, Emulator

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
EVERY_LIST = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))


@dataclass
class Served:
    """A lifelike account over HTTP, and all that its filters look at."""

    session: requests.Session
    base_url: str
    objects: dict[str, list[dict[str, Any]]]

    def ask(self, endpoint: Endpoint, **params: object) -> requests.Response:
        """Ask for a list."""
        return self.session.get(f"{self.base_url}/{endpoint.path}", params=params, timeout=10)  # type: ignore[arg-type]


@contextmanager
def serving(account: Account, objects: dict[str, list[dict[str, Any]]] | None = None) -> Iterator[Served]:
    with Emulator(account) as api, requests.Session() as session:
        session.headers["Authorization"] = "OAuth any"
        yield Served(session, api.base_url, objects or {})


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    account = Account.lifelike(projects=30, clock=Clock(NOW), others=True)
    objects = {name: account.objects(name) for name in ENDPOINTS}
    for number, skill in enumerate(objects["skills"][1:]):  # the first one has never changed
        skill["modified"] = (NOW - timedelta(days=number)).replace(tzinfo=None).isoformat()
    for skill in objects["skills"]:
        account.edit("skills", skill["id"], modified=skill.get("modified"))
    with serving(account, objects) as running:
        yield running


def values_of(item: dict[str, Any], field: str) -> list[Any]:
    parent, _, child = field.partition("__")
    value = (item.get(parent) or {}).get(child) if child else item.get(field)
    return [one for one in (value if isinstance(value, list) else [value]) if one is not None]


def comparable(endpoint: Endpoint, field: str, value: Any) -> Any:
    """What a field's value, or a filter's, is compared by."""
    kinds = {one.kind for one in endpoint.filters.values() if one.field == field}
    if "number" in kinds:
        return int(value)
    if "time" in kinds:
        return datetime.fromisoformat(value)
    return str(value).lower() if "flag" in kinds else value


def matches(endpoint: Endpoint, item: dict[str, Any], name: str, value: str) -> bool:
    wanted = endpoint.filters[name]
    bounds = [
        comparable(endpoint, wanted.field, one) for one in (value.split(",") if wanted.takes_several else [value])
    ]
    has = [comparable(endpoint, wanted.field, one) for one in values_of(item, wanted.field)]
    if wanted.comparison == "ne":
        return not any(one in bounds for one in has)
    holds = getattr(operator, {"gte": "ge", "lte": "le"}.get(wanted.comparison, wanted.comparison))
    return any(holds(one, bound) for one in has for bound in bounds)


def answer(
    endpoint: Endpoint, objects: list[dict[str, Any]], filters: dict[str, str], sort: list[str], limit: int
) -> dict[str, Any]:
    def sorting(key: str) -> Any:
        return lambda item: [comparable(endpoint, key, one) for one in values_of(item, key)]  # none: before all others

    found = [item for item in objects if all(matches(endpoint, item, *one) for one in filters.items())]
    found.sort(key=lambda item: comparable(endpoint, "id", item["id"]))
    for key in reversed(sort):
        found.sort(key=sorting(key.removeprefix("-")), reverse=key.startswith("-"))
    sent = [{name: value for name, value in item.items() if is_sent(endpoint, name)} for item in found[:limit]]
    return {"items": sent, "has_more": len(found) > limit}


def is_sent(endpoint: Endpoint, name: str) -> bool:
    return not any(cursor.name == name and not cursor.is_column for cursor in endpoint.cursors)


def texts_for(one: Filter, objects: list[dict[str, Any]]) -> st.SearchStrategy[str]:
    """Values that the API takes for a filter; most of them are in some object."""
    if one.takes_several:
        return st.lists(st.sampled_from(one.values), min_size=1).map(",".join)
    there = [str(value) for item in objects for value in values_of(item, one.field)]
    others = {"number": ["0", "77", "9" * 30], "time": ["2024-06-01", "2025-02-03T04:05:06.789"], "text": ["nobody"]}
    choices = one.values or (("true", "false") if one.kind == "flag" else [*there, *others[one.kind]])
    return st.sampled_from(choices)


@EVERY_LIST
@given(data=st.data())
@settings(max_examples=40)
def test_a_list_answers_as_the_catalogue_says(served: Served, endpoint: Endpoint, data: st.DataObject) -> None:
    objects = served.objects[endpoint.name]
    names = data.draw(st.lists(st.sampled_from(list(endpoint.filters)), max_size=3, unique=True))
    filters = {name: data.draw(texts_for(endpoint.filters[name], objects), label=name) for name in names}
    keys = st.builds(str.__add__, st.sampled_from(["", "-"]), st.sampled_from(endpoint.sort_keys))
    sort = data.draw(st.lists(keys, max_size=3), label="sort")
    limit = data.draw(st.sampled_from([1, 7, 50, endpoint.greatest_limit]), label="limit")
    response = served.ask(endpoint, **filters, limit=limit, **({"sort": ",".join(sort)} if sort else {}))
    assert response.status_code == 200, response.text
    assert response.json() == answer(endpoint, objects, filters, sort, limit)


@EVERY_LIST
def test_what_the_api_does_not_take_is_refused(served: Served, endpoint: Endpoint) -> None:
    def refused(name: str, value: object) -> str:
        response = served.ask(endpoint, **{name: value})
        assert response.status_code == 400, (name, value, response.text)
        return str(response.json()["payload"][name]["message"])

    assert f"from 1 to {endpoint.greatest_limit}" in refused("limit", endpoint.greatest_limit + 1)
    assert "can't sort by 'metadata'" in refused("sort", "id,metadata")
    of_others = {name for other in ENDPOINTS.values() for name in other.filters} - endpoint.filters.keys()
    for name in [*of_others, "offset", "id", "created", "ID_gt"]:
        assert refused(name, "1") == "unknown parameter"
    for name, one in endpoint.filters.items():
        wrong = {"number": "ten", "time": "2022-01-01T00:00:00Z", "flag": "yes", "text": "NO SUCH VALUE"}[one.kind]
        if one.kind != "text" or one.values:
            refused(name, wrong)
        if one.values:
            several = served.ask(endpoint, **{name: ",".join(one.values[:2])})
            assert several.status_code == (200 if one.takes_several else 400)
            refused(name, f"{one.values[0]},{wrong}")


def test_ids_that_are_no_numbers_are_compared_as_texts() -> None:
    account = Account(Clock(NOW))
    for id_ in ("9", "10", "f", "57068577e4b0bf7b07a0256f", "07700135-c34a-4df0-ae55-d44081dea432"):
        account.add("operations", {"id": id_})
    for wrong in ("9", "", 3, None):
        with pytest.raises(ValueError, match="id"):
            account.add("operations", {"id": wrong})
    with serving(account) as served:
        page = served.ask(ENDPOINTS["operations"], id_gt="10", id_lte="9").json()
    assert [item["id"] for item in page["items"]] == ["57068577e4b0bf7b07a0256f", "9"]


def test_a_field_with_several_values_matches_by_any_of_them() -> None:
    account = Account(Clock(NOW))
    both, inbox, empty, without = (
        account.create("message_threads", folders=folders)["id"]
        for folders in (["INBOX", "UNREAD"], ["INBOX"], [], None)
    )
    with serving(account) as served:

        def found(**filters: str) -> list[str]:
            return [item["id"] for item in served.ask(ENDPOINTS["message_threads"], **filters).json()["items"]]

        assert found(folder="INBOX") == [both, inbox]
        assert found(folder="UNREAD,OUTBOX") == [both]
        assert found(folder_ne="UNREAD,OUTBOX") == [inbox, empty, without]
        assert found(folder="INBOX", folder_ne="UNREAD") == [inbox]
