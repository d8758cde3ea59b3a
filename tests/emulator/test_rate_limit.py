"""The limit of requests a second."""

import pytest
import requests

from toloka_source.emulator import Account, Emulator
from toloka_source.emulator.rate_limit import RateLimit


def test_so_many_in_any_second() -> None:
    now = 0.0
    limit = RateLimit(2, lambda: now)
    assert [limit.grants("a"), limit.grants("a"), limit.grants("a"), limit.grants("b")] == [True, True, False, True]
    now = 0.9
    assert not limit.grants("a")
    now = 1.0
    assert [limit.grants("a"), limit.grants("a"), limit.grants("a")] == [True, True, False]


def test_none_at_all() -> None:
    with pytest.raises(ValueError, match="lets none in"):
        Emulator(rate_limit=0)


def test_what_a_client_is_told() -> None:
    with Emulator(Account(), rate_limit=1) as api:
        answers = [
            requests.get(f"{api.base_url}/projects", headers={"Authorization": "OAuth any"}, timeout=30)
            for _ in range(20)
        ]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert answers[0].status_code == 200
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(429, "1")}
    assert refused[0].json()["code"] == "TOO_MANY_REQUESTS"
