"""Tolokers as a busy requester knows them: their skills, bonuses and restrictions."""

import random
from datetime import timedelta

from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.ids import object_id
from toloka_source.emulator.lifelike import api_time, chance, owner, present

_users = random.Random("users")  # noqa: S311 - sample data that has to be the same each time
USERS = tuple(f"{_users.getrandbits(128):032x}" for _ in range(1000))
"""The ids of all Tolokers, whatever list names them."""

_SKILLS = ("search relevance", "audio transcription", "photo moderation", "map reading", "Обучение: знаки", "exam")
_REASONS = ("skipped_in_row", "fast answers", "Много ошибок", "wrong golden answers")


def user(rng: random.Random) -> str:
    """Return the id of any Toloker."""
    return rng.choice(USERS)


def assignment_id(birth: Birth, pool_id: str) -> str:
    """Return the id of an answer in a pool: the pool's in hexadecimal, and its own."""
    return f"{int(pool_id):010x}--{object_id(birth.created, birth.rng.getrandbits(24))}"


def skill(birth: Birth) -> Item:
    """Return a skill, its fields in the API's order, and `modified`, which isn't sent."""
    rng = birth.rng
    name = f"{rng.choice(_SKILLS)} {rng.randrange(1, 100)}"
    is_named, described = chance(rng, 0.7), {"EN": f"How good somebody is at {name}"}
    return present(
        {
            "id": birth.id,
            "name": name,
            "public_name": {"EN": name} if is_named else None,
            "private_comment": rng.choice(["", "", "for the ranking team", "see the audit"]),
            "public_requester_description": described if is_named and chance(rng, 0.5) else None,
            "hidden": chance(rng, 0.4),
            "skill_ttl_hours": rng.choice([None, None, 720, 8760]),
            "deprecated": chance(rng, 0.05),
            "owner": owner(rng),
            "training": chance(rng, 0.2),
            "created": api_time(birth.created),
            "global": chance(rng, 0.1),
            "modified": api_time(birth.later()),
        }
    )


def user_skill(birth: Birth) -> Item:
    """Return a skill that a Toloker has, its fields in the API's order."""
    exact = birth.rng.choice([100, round(100 * birth.rng.random(), 2), round(100 * birth.rng.random(), 13)])
    return {
        "id": birth.id,
        "skill_id": birth.some("skills")["id"],
        "user_id": user(birth.rng),
        **skill_value(exact),
        "created": api_time(birth.created),
        "modified": api_time(birth.later()),
    }


def skill_value(exact: float) -> Item:
    """Return both fields in which the API says a skill's value."""
    return {"value": round(exact), "exact_value": exact}


def bonus(birth: Birth) -> Item:
    """Return a bonus, its fields in the API's order."""
    rng = birth.rng
    is_silent = chance(rng, 0.3)
    language = rng.choice(["EN", "RU", "ES", "TR"])
    return present(
        {
            "user_id": user(rng),
            "amount": rng.choice([1, 0.5, 0.005, rng.randrange(1, 500) / 100]),
            "private_comment": rng.choice([None, "pool finished", "for the appeal"]),
            "public_title": None if is_silent else {language: "Thank you!"},
            "public_message": None if is_silent else {language: f"👍 {rng.randrange(2, 50)} answers"},
            "without_message": is_silent,
            "assignment_id": assignment_id(birth, birth.some("pools")["id"]) if chance(rng, 0.8) else None,
            "id": birth.id,
            "created": api_time(birth.created),
        }
    )


def restriction(birth: Birth) -> Item:
    """Return a restriction, its fields in the API's order; some are over, and some are for ever."""
    rng, pool = birth.rng, birth.some("pools")
    scope = rng.choices(["PROJECT", "POOL", "ALL_PROJECTS"], [50, 20, 30])[0]
    ends = birth.created + timedelta(days=rng.choice([1, 7, 30, 365, 3650]))
    return present(
        {
            "id": birth.id,
            "scope": scope,
            "user_id": user(rng),
            "project_id": birth.some("projects")["id"] if scope == "PROJECT" else None,
            "pool_id": pool["id"] if scope == "POOL" else None,
            "private_comment": rng.choice(_REASONS) if chance(rng, 0.8) else None,
            "will_expire": api_time(ends) if chance(rng, 0.7) else None,
            "created": api_time(birth.created),
        }
    )
