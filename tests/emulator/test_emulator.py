"""The emulator: parameters, answers, errors and the server around them."""

import gc
import gzip
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from toloka_source.emulator import MISSING, Account, Clock, Emulator, RecordedRequest

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
HEADERS = {"Authorization": "OAuth secret"}
ID_FORMS = ("gt", "gte", "lt", "lte")


def get(api: Emulator, path: str, **params: object) -> requests.Response:
    query = {name: str(value) for name, value in params.items()}
    return requests.get(f"{api.base_url}/{path}", params=query, headers=HEADERS, timeout=10)


def page_of(api: Emulator, path: str, **params: object) -> dict[str, Any]:
    response = get(api, path, **params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    page: dict[str, Any] = response.json()
    assert list(page) == ["items", "has_more"]
    return page


def ids_of(api: Emulator, path: str, **params: object) -> list[str]:
    return [item["id"] for item in page_of(api, path, **params)["items"]]


def refused(api: Emulator, path: str, name: str, value: object) -> str:
    response = get(api, path, **{name: value})
    assert response.status_code == 400, response.text
    body = response.json()
    assert body["code"] == "VALIDATION_ERROR"
    assert list(body["payload"]) == [name]
    return str(body["payload"][name]["message"])


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.lifelike(projects=120, seed=3, clock=Clock(NOW))


@pytest.fixture(scope="module")
def api(account: Account) -> Iterator[Emulator]:
    with Emulator(account) as running:
        yield running


@pytest.fixture
def empty() -> Iterator[Emulator]:
    with Emulator(Account(Clock(NOW))) as running:
        yield running


@pytest.mark.parametrize("path", ["projects", "trainings"])
def test_a_list_holds_the_objects_as_they_are(api: Emulator, account: Account, path: str) -> None:
    expected = getattr(account, path)
    assert page_of(api, path, limit=300) == {"items": expected, "has_more": False}
    assert page_of(api, path) == {"items": expected[:50], "has_more": True}


def test_an_empty_account_has_empty_lists(empty: Emulator) -> None:
    assert page_of(empty, "projects") == {"items": [], "has_more": False}
    assert page_of(empty, "trainings", sort="-last_started") == {"items": [], "has_more": False}


@pytest.mark.parametrize(("limit", "has_more"), [(1, True), (119, True), (120, False), (300, False)])
def test_has_more_is_true_only_when_more_follows(api: Emulator, limit: int, *, has_more: bool) -> None:
    page = page_of(api, "projects", limit=limit)
    assert len(page["items"]) == min(limit, 120)
    assert page["has_more"] is has_more


@pytest.mark.parametrize("limit", ["0", "301", "-1", "ten", "1.5", "", "+5", "9" * 5000])
def test_a_limit_out_of_range_is_refused(api: Emulator, limit: str) -> None:
    if len(limit) < 5:
        assert "from 1 to 300" in refused(api, "projects", "limit", limit)
    else:
        refused(api, "projects", "limit", limit)


def test_ids_are_compared_as_numbers(empty: Emulator) -> None:
    for number in ("10", "9", "123456789012345678901234567890", "100", "99999999999999999999"):
        empty.account.add("projects", {"id": number})
    every = ["9", "10", "100", "99999999999999999999", "123456789012345678901234567890"]
    assert ids_of(empty, "projects", sort="id") == every
    assert ids_of(empty, "projects", sort="-id") == every[::-1]
    assert ids_of(empty, "projects", id_gt=10) == every[2:]
    assert ids_of(empty, "projects", id_gte=10) == every[1:]
    assert ids_of(empty, "projects", id_lt=100) == every[:2]
    assert ids_of(empty, "projects", id_lte=100) == every[:3]
    assert ids_of(empty, "projects", id_gt=9, id_lt="99999999999999999999") == ["10", "100"]
    assert ids_of(empty, "projects", id_gt=100, id_lt=10) == []


@pytest.mark.parametrize("value", ["abc", "", "-1", "1.0", "0x10", "\u0661"])
def test_an_id_that_is_no_number_is_refused(api: Emulator, value: str) -> None:
    for form in ID_FORMS:
        refused(api, "trainings", f"id_{form}", value)
    refused(api, "trainings", "project_id", value)


def test_times_are_compared_to_the_microsecond(empty: Emulator) -> None:
    times = ["2022-01-01T00:00:00", "2022-01-01T00:00:00.001", "2022-01-01T00:00:00.001001", "2022-01-02T10:00:00"]
    for number, created in enumerate(times):
        empty.account.add("projects", {"id": str(number), "created": created})
    assert ids_of(empty, "projects", created_gt="2022-01-01") == ["1", "2", "3"]
    assert ids_of(empty, "projects", created_gte="2022-01-01") == ["0", "1", "2", "3"]
    assert ids_of(empty, "projects", created_lt="2022-01-01T00:00:00.001") == ["0"]
    assert ids_of(empty, "projects", created_lte="2022-01-01T00:00:00.001000") == ["0", "1"]
    assert ids_of(empty, "projects", created_gt="2022-01-01T00:00:00.001", created_lte="2022-01-02") == ["2"]
    assert ids_of(empty, "projects", created_gt="2022-01-01T00:00:00.1") == ["3"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2022-01-01T00:00:00Z",
        "2022-01-01T00:00:00+00:00",
        "2022-01-01T00:00",
        "2022-01-01 00:00:00",
        "2022-13-01",
        "2022-02-30T00:00:00",
        "2022-01-01T00:00:00.1234567",
        "2022-01-01T00:00:00.",
        "20220101",
        "1640995200",
    ],
)
def test_a_time_in_another_form_is_refused(api: Emulator, value: str) -> None:
    for name in ("created_gt", "created_lte", "last_started_gte", "last_started_lt"):
        refused(api, "trainings", name, value)


def test_a_training_that_never_started_matches_no_last_started_filter(empty: Emulator) -> None:
    account = empty.account
    project = account.create_project()["id"]
    waiting, started = (account.create_training(project)["id"] for _ in range(2))
    account.start_training(started)
    assert ids_of(empty, "trainings") == [waiting, started]
    for form, value in (("gt", "2000-01-01"), ("gte", "2000-01-01"), ("lt", "2100-01-01"), ("lte", "2100-01-01")):
        assert ids_of(empty, "trainings", **{f"last_started_{form}": value}) == [started]
    assert ids_of(empty, "trainings", last_started_gt="2026-03-01T12:30:15.250") == []
    assert ids_of(empty, "trainings", last_started_gte="2026-03-01T12:30:15.250") == [started]


@pytest.mark.parametrize(
    ("path", "statuses"),
    [("projects", ["ACTIVE", "ARCHIVED"]), ("trainings", ["OPEN", "CLOSED", "ARCHIVED", "LOCKED"])],
)
def test_status(api: Emulator, account: Account, path: str, statuses: list[str]) -> None:
    for status in statuses:
        expected = [item["id"] for item in getattr(account, path) if item["status"] == status]
        assert ids_of(api, path, status=status, limit=300) == expected
    for wrong in ("", "open", "DELETED", ",".join(statuses)):
        assert "must be one of" in refused(api, path, "status", wrong)


def test_owner_and_project_id(api: Emulator, account: Account) -> None:
    for owner in {item["owner"]["id"] for item in account.projects} | {"nobody"}:
        expected = [item["id"] for item in account.projects if item["owner"]["id"] == owner]
        assert ids_of(api, "projects", owner=owner, limit=300) == expected
    for project in {item["project_id"] for item in account.trainings[:5]} | {"1"}:
        expected = [item["id"] for item in account.trainings if item["project_id"] == project]
        assert ids_of(api, "trainings", project_id=project, limit=300) == expected


def test_sorting_by_several_keys(empty: Emulator) -> None:
    rows = [("1", "b", "2022-01-02"), ("2", "a", "2022-01-02"), ("3", "b", "2022-01-01"), ("4", "a", "2022-01-02")]
    for number, name, day in rows:
        empty.account.add("projects", {"id": number, "public_name": name, "created": f"{day}T00:00:00"})
    assert ids_of(empty, "projects") == ["1", "2", "3", "4"]
    assert ids_of(empty, "projects", sort="-id,created") == ["4", "3", "2", "1"]
    assert ids_of(empty, "projects", sort="created") == ["3", "1", "2", "4"]
    assert ids_of(empty, "projects", sort="-created") == ["1", "2", "4", "3"]
    assert ids_of(empty, "projects", sort="public_name,-id") == ["4", "2", "3", "1"]
    assert ids_of(empty, "projects", sort="-public_name,created") == ["3", "1", "2", "4"]
    assert page_of(empty, "projects", sort="created,-id", limit=2)["has_more"] is True
    assert ids_of(empty, "projects", sort="created,-id", limit=2) == ["3", "4"]


def test_objects_without_the_sort_key_come_first(empty: Emulator) -> None:
    empty.account.add("trainings", {"id": "1", "last_started": "2022-01-01T00:00:00"})
    empty.account.add("trainings", {"id": "2"})
    empty.account.add("trainings", {"id": "3", "last_started": None})
    assert ids_of(empty, "trainings", sort="last_started") == ["2", "3", "1"]
    assert ids_of(empty, "trainings", sort="-last_started,-id") == ["1", "3", "2"]
    empty.account.add("projects", {"id": "1", "private_comment": "note"})
    empty.account.add("projects", {"id": "2"})
    assert ids_of(empty, "projects", sort="private_comment") == ["2", "1"]


@pytest.mark.parametrize("value", ["", "name", "id,", "--id", "id, created", "ID"])
def test_an_unknown_sort_key_is_refused(api: Emulator, value: str) -> None:
    assert "can't sort by" in refused(api, "projects", "sort", value)


def test_each_list_knows_its_own_parameters_only(api: Emulator) -> None:
    refused(api, "projects", "sort", "last_started")
    refused(api, "trainings", "sort", "public_name")
    refused(api, "projects", "last_started_gt", "2022-01-01")
    refused(api, "projects", "project_id", "1")
    refused(api, "trainings", "owner", "somebody")
    for name in ("offset", "id", "created", "id_eq", "created_after", "_gt", "LIMIT"):
        assert refused(api, "projects", name, "1") == "unknown parameter"


def test_a_repeated_parameter_is_refused(api: Emulator) -> None:
    response = requests.get(f"{api.base_url}/projects?id_gt=1&id_gt=1", headers=HEADERS, timeout=10)
    assert response.status_code == 400
    assert response.json()["payload"]["id_gt"]["message"] == "given more than once"


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "created_gt": st.datetimes(datetime(2023, 3, 1), NOW.replace(tzinfo=None)),  # noqa: DTZ001 - as the API
        "created_lte": st.datetimes(datetime(2023, 3, 1), NOW.replace(tzinfo=None)),  # noqa: DTZ001 - as the API
        "last_started_gt": st.datetimes(datetime(2023, 3, 1), NOW.replace(tzinfo=None)),  # noqa: DTZ001 - as the API
        "last_started_lt": st.datetimes(datetime(2023, 3, 1), NOW.replace(tzinfo=None)),  # noqa: DTZ001 - as the API
        "id_lte": st.integers(0, 10**8),
        "status": st.sampled_from(["OPEN", "CLOSED", "ARCHIVED"]),
    },
)


@given(filters=FILTERS, limit=st.integers(7, 60))
@settings(max_examples=40)
def test_paging_by_id_finds_what_the_filters_ask_for(
    api: Emulator, account: Account, filters: dict[str, Any], limit: int
) -> None:
    def matches(item: dict[str, Any]) -> bool:
        for name, bound in filters.items():
            field, _, form = name.rpartition("_")
            if name == "status":
                fits = item["status"] == bound
            elif field == "id":
                fits = int(item["id"]) <= bound
            elif field not in item:
                fits = False
            else:
                at = datetime.fromisoformat(item[field])
                fits = {"gt": at > bound, "lt": at < bound, "lte": at <= bound}[form]
            if not fits:
                return False
        return True

    params = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in filters.items()}
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = {"id_gt": found[-1]["id"]} if found else {}
        page = page_of(api, "trainings", sort="id", limit=limit, **params, **after)
        found += page["items"]
        more = page["has_more"]
        assert page["items"] or not more
    assert found == [item for item in account.trainings if matches(item)]


@pytest.mark.parametrize("authorization", ["OAuth secret", "ApiKey secret", "oauth secret"])
def test_both_forms_of_authorization_are_accepted(authorization: str) -> None:
    with Emulator(tokens={"secret"}) as api:
        headers = {"Authorization": authorization}
        assert requests.get(f"{api.base_url}/projects", headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "OAuth", "OAuth ", "secret", "Bearer secret", "OAuth other"])
def test_a_missing_or_wrong_token_is_401(authorization: str | None) -> None:
    with Emulator(tokens={"secret"}) as api:
        headers = {} if authorization is None else {"Authorization": authorization}
        response = requests.get(f"{api.base_url}/projects", headers=headers, timeout=10)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"request_id", "code", "message"}
    assert response.json()["code"] == "AUTHENTICATION_ERROR"


def test_a_token_without_rights_is_403() -> None:
    with Emulator(forbidden_tokens={"secret"}) as api:
        response = get(api, "trainings")
        other = requests.get(f"{api.base_url}/trainings", headers={"Authorization": "ApiKey x"}, timeout=10)
    assert (response.status_code, response.json()["code"]) == (403, "ACCESS_DENIED")
    assert other.status_code == 200


def test_other_paths_and_methods(api: Emulator) -> None:
    for path in ("assignments", "projects/", "projects/1", ""):
        response = get(api, path)
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    outside = requests.get(api.base_url.removesuffix("/api/v1") + "/projects", headers=HEADERS, timeout=10)
    assert outside.status_code == 404
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = requests.request(method, f"{api.base_url}/projects", headers=HEADERS, timeout=10)
        assert (response.status_code, response.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET"


def test_every_answer_bears_the_accounts_time(empty: Emulator) -> None:
    clock = empty.account.clock
    for step in (timedelta(), timedelta(hours=5), timedelta(days=-400)):
        clock.advance(step)
        for response in (get(empty, "projects"), get(empty, "nothing"), get(empty, "projects", limit=0)):
            assert parsedate_to_datetime(response.headers["date"]) == clock.now().replace(microsecond=0)
            assert "server" not in response.headers


def test_requests_are_recorded(empty: Emulator) -> None:
    get(empty, "projects", limit=5, id_gt=3)
    get(empty, "trainings", limit="many")
    get(empty, "elsewhere")
    assert [(r.path, r.params, r.status, r.resource) for r in empty.requests] == [
        ("/api/v1/projects", {"limit": "5", "id_gt": "3"}, 200, "projects"),
        ("/api/v1/trainings", {"limit": "many"}, 400, "trainings"),
        ("/api/v1/elsewhere", {}, 404, None),
    ]
    assert isinstance(empty.requests[0], RecordedRequest)
    assert empty.requests[0].headers["authorization"] == "OAuth secret"
    empty.clear_requests()
    assert empty.requests == []


def test_the_account_can_change_before_any_request(empty: Emulator) -> None:
    seen = []

    def change(number: int, resource: str) -> None:
        seen.append((number, resource))
        empty.account.create_project(public_name=f"made before request {number}")

    empty.before_request = change
    assert [len(ids_of(empty, path)) for path in ("projects", "trainings", "projects")] == [1, 0, 3]
    assert seen == [(1, "projects"), (2, "trainings"), (3, "projects")]


def test_changes_from_other_threads_while_serving(empty: Emulator) -> None:
    done = threading.Event()

    def work(seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - any choice will do
        while not done.is_set():
            empty.account.create_project(private_comment=MISSING)
            empty.account.edit_project(rng.choice(empty.account.ids("projects")), public_name="edited")

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(20):
            numbers = [int(number) for number in ids_of(empty, "projects", limit=300, sort="id")]
            assert numbers == list(range(1, len(numbers) + 1))
    finally:
        done.set()
        for worker in workers:
            worker.join()


def test_compressed_answers_on_request() -> None:
    with Emulator(Account.lifelike(projects=20), compress=True) as api:
        packed = requests.get(f"{api.base_url}/projects", headers=HEADERS, stream=True, timeout=10)
        assert packed.headers["content-encoding"] == "gzip"
        raw = packed.raw.read()
        assert json.loads(gzip.decompress(raw))["items"] == api.account.projects
        plain = requests.get(f"{api.base_url}/projects", headers=HEADERS | {"Accept-Encoding": "identity"}, timeout=10)
        assert "content-encoding" not in plain.headers
        assert plain.json()["items"] == api.account.projects


def test_latency_comes_before_each_answer() -> None:
    with Emulator(latency=0.1) as api:
        began = time.monotonic()
        get(api, "projects")
        assert time.monotonic() - began >= 0.1


def test_several_emulators_at_once() -> None:
    with Emulator(Account.lifelike(projects=1)) as one, Emulator() as two:
        assert one.base_url != two.base_url
        assert len(ids_of(one, "projects")) == 1
        assert ids_of(two, "projects") == []


def test_start_and_stop_by_hand() -> None:
    threads = threading.active_count()
    api = Emulator()
    api.stop()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = api.base_url
    assert api.start() is api
    with pytest.raises(RuntimeError, match="running already"):
        api.start()
    session = requests.Session()
    assert session.get(f"{api.base_url}/projects", headers=HEADERS, timeout=10).ok
    port = int(api.base_url.rsplit(":", 1)[1].split("/")[0])
    began = time.monotonic()
    api.stop()
    assert time.monotonic() - began < 1
    with pytest.raises(requests.ConnectionError):
        session.get(f"{api.base_url}/projects", headers=HEADERS, timeout=10)
    session.close()
    again = Emulator(port=port)
    with again:
        assert page_of(again, "projects")["items"] == []
    with again:
        assert page_of(again, "projects")["items"] == []
    assert threading.active_count() == threads


def test_a_taken_port_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Emulator(port=taken.getsockname()[1]).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104 - to be refused
def test_other_machines_are_kept_out(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        Emulator(host=host)
    Emulator(host=host, allow_remote=True)


def test_other_names_of_this_machine() -> None:
    with Emulator(host="localhost") as api:
        assert api.base_url.startswith("http://localhost:")
        assert page_of(api, "projects")["items"] == []


def test_a_big_account_is_paged_quickly() -> None:
    account = Account(Clock(NOW))
    for number in range(20_000):
        account.add("projects", {"id": str(number), "created": "2022-01-01T00:00:00"})
    with Emulator(account) as api, requests.Session() as session:
        session.headers.update(HEADERS)
        last, pages = "0", 0
        began = time.monotonic()
        while True:
            params = {"sort": "id", "limit": "300", "id_gt": last, "created_gt": "2021-01-01"}
            page = session.get(f"{api.base_url}/projects", params=params, timeout=10).json()
            pages += 1
            if not page["has_more"]:
                break
            last = page["items"][-1]["id"]
    assert pages == 67
    # Nagle's algorithm alone would cost 0.04 s a page.
    assert (time.monotonic() - began) / pages < 0.03


def test_who_connects_while_it_stops_is_hung_up_on() -> None:
    def connect(address: SplitResult, clients: list[socket.socket]) -> None:
        with suppress(OSError):
            clients.extend(socket.create_connection((address.hostname, address.port), timeout=1) for _ in range(20))

    for _ in range(5):
        with Emulator() as emulator:
            clients: list[socket.socket] = []
            work = (urlsplit(emulator.base_url), clients)
            threads = [threading.Thread(target=connect, args=work) for _ in range(4)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
    gc.collect()  # a socket that the server left open is a warning, and so an error


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:80", 200),
        ("[::1]:8080", 200),
        ("evil.example", 400),
        ("evil.example:8080", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost@evil.example", 400),
        ("[::1", 400),
        ("192.168.0.1", 400),
    ],
)
def test_who_means_another_host_is_refused(empty: Emulator, host: str, status: int) -> None:
    empty.account.create_project()
    answer = requests.get(
        f"{empty.base_url}/projects", headers={"Host": host, "Authorization": "OAuth any"}, timeout=10
    )
    assert answer.status_code == status
    assert ("items" in answer.json()) == (status == 200)
    assert len(empty.requests) == (status == 200)


def test_the_last_requests_are_kept(account: Account) -> None:
    with Emulator(account, keep_requests=3) as api:
        for number in range(5):
            requests.get(f"{api.base_url}/{number}", timeout=10)
        assert [request.path[-1] for request in api.requests] == ["2", "3", "4"]
        api.clear_requests()
        assert api.requests == []
