"""Projects and trainings as a busy requester has them, made at random from a seed."""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from toloka_source.emulator.themes import THEMES, Theme, instructions, task_spec

Item = dict[str, Any]

YEARS = timedelta(days=3 * 365)
OWNERS = (
    {"id": "5d1f0c3a9e7b4826a0c4e9d27f6b8135", "myself": True, "company_id": "1f7b2d90c6e84a35b1d0a7c3e5f92846"},
    {"id": "a83e6b17d2c94f50867be1f0395ad4c2", "myself": False, "company_id": "1f7b2d90c6e84a35b1d0a7c3e5f92846"},
    {"id": "c02d94e8f1b75a6349d8ce70b6a1f523", "myself": False},
)
PLACES = ("Berlin", "İzmir", "São Paulo", "Jakarta", "Алматы", "Manila", "Nairobi", "Kraków", "Lagos", "Quito")
NOTES = ("pilot", "for the ranking team", "keep until the audit", 'copy of "v1"', "ask Marta before closing it", "🚀")
CLOSE_REASONS = ("MANUAL", "COMPLETED", "EXPIRED", "NOT_ENOUGH_BALANCE", "FOR_UPDATE", "ASSIGNMENTS_LIMIT_EXCEEDED")
RULES: tuple[tuple[str, str, Item], ...] = (
    ("SKIPPED_IN_ROW_ASSIGNMENTS", "skipped_in_row_count", {}),
    ("ASSIGNMENT_SUBMIT_TIME", "fast_submitted_count", {"history_size": 5, "fast_submit_threshold_seconds": 12}),
    ("MAJORITY_VOTE", "incorrect_answers_rate", {"answer_threshold": 2, "history_size": 10}),
    ("GOLDEN_SET", "golden_set_incorrect_answers_rate", {"history_size": 20}),
    ("INCOME", "income_sum_for_last_24_hours", {}),
)


def api_time(at: datetime) -> str:
    """Write a naive UTC time as the API does: without a zone, with 0, 3 or 6 digits of a second."""
    digits_in_threes = "auto" if at.microsecond % 1000 else "milliseconds"
    return at.isoformat(timespec=digits_in_threes if at.microsecond else "seconds")


def history(projects: int, trainings: int, seed: int, until: datetime) -> tuple[list[Item], list[Item]]:
    """Return projects and trainings, each in the order in which they were created."""
    rng = random.Random(seed)  # noqa: S311 - sample data that has to be the same each time
    ids = growing_ids(rng, projects, first=95, last=20_000_000)
    times = growing_times(rng, (until - YEARS * rng.random() for _ in range(projects)))
    made_projects = [
        project(rng, id_, "ARCHIVED" if chance(rng, 0.15) else "ACTIVE", created)
        for id_, created in zip(ids, times, strict=True)
    ]

    # Most trainings are made soon after their project.
    picks = [rng.randrange(projects) for _ in range(trainings if projects else 0)]
    dated = sorted((times[pick] + (until - times[pick]) * rng.random() ** 3, pick) for pick in picks)
    ids = growing_ids(rng, len(dated), first=812, last=45_000_000)
    made_trainings = []
    for id_, (exact, pick) in zip(ids, dated, strict=True):
        created = max(cut(rng, exact), times[pick])
        past = past_of(rng, created, until)
        made_trainings.append(training(rng, id_, made_projects[pick]["id"], created, past))
    return made_projects, made_trainings


def project(rng: random.Random, id_: str, status: str, created: datetime) -> Item:
    """Return a project, its fields in the API's order."""
    theme = rng.choice(THEMES)
    language = rng.choice(["EN", *theme.titles])
    map_view = {
        "title_template": theme.titles["EN"],
        "description_template": "Address: {{inputParams['address']}}",
        "map_provider": rng.choice(["GOOGLE", "YANDEX"]),
    }
    metadata = {"team": [rng.choice(["search", "maps", "speech"])], "batch": [str(rng.randrange(99))]}
    return present(
        {
            "id": id_,
            "public_name": f"{theme.titles[language]} ({rng.choice(PLACES)}, {rng.randrange(1, 40)})",
            "public_description": theme.description,
            "public_instructions": instructions(rng, theme),
            "private_comment": rng.choice(NOTES) if chance(rng, 0.6) else None,
            "task_spec": task_spec(rng, theme),
            "assignments_issuing_type": "MAP_SELECTOR" if theme.on_map else "AUTOMATED",
            "assignments_issuing_view_config": map_view if theme.on_map else None,
            "quality_control": quality_control(rng),
            "assignments_automerge_enabled": chance(rng, 0.2),
            "max_active_assignments_count": rng.choice([None, 1, 5, 15, 50]),
            "metadata": metadata if chance(rng, 0.3) else None,
            "sensitive": rng.choice([None, None, False, False, True]),
            "localization_config": _localization(rng, theme, language) if chance(rng, 0.7) else None,
            "owner": owner(rng),
            "status": status,
            "created": api_time(created),
        }
    )


def training(rng: random.Random, id_: str, project_id: str, created: datetime, past: Item) -> Item:
    """Return a training, its fields in the API's order; its past is its status and all that depends on it."""
    inherited = chance(rng, 0.7)
    return present(
        {
            "id": id_,
            "project_id": project_id,
            "private_name": f"{rng.choice(['Training', 'Exam', 'Обучение'])} {rng.randrange(1, 30)}",
            "inherited_instructions": inherited,
            "public_instructions": "" if inherited else instructions(rng, rng.choice(THEMES)),
            "may_contain_adult_content": chance(rng, 0.1),
            "assignment_max_duration_seconds": rng.choice([300, 600, 1200, 3600]),
            "mix_tasks_in_creation_order": chance(rng, 0.8),
            "shuffle_tasks_in_task_suite": chance(rng, 0.8),
            "training_tasks_in_task_suite_count": rng.randrange(1, 21),
            "task_suites_required_to_pass": rng.choice([None, 1, 1, 2, 5]),
            "retry_training_after_days": rng.choice([None, 1, 7, 14, 30]),
            "metadata": {"level": [rng.choice(["easy", "hard"])]} if chance(rng, 0.2) else None,
            "owner": owner(rng),
            "status": past["status"],
            "last_close_reason": past.get("last_close_reason"),
            "created": api_time(created),
            "last_started": past.get("last_started"),
            "last_stopped": past.get("last_stopped"),
        }
    )


def present(item: Item) -> Item:
    """Leave out the fields without a value, as the API does."""
    return {name: value for name, value in item.items() if value is not None}


def chance(rng: random.Random, share: float) -> bool:
    """Tell whether something happens, as it does in this share of all cases."""
    return rng.random() < share


def past_of(rng: random.Random, created: datetime, until: datetime) -> Item:
    """Return what happened to a training or a pool since it was created."""
    if chance(rng, 0.2):
        return {"status": rng.choice(["CLOSED", "CLOSED", "ARCHIVED"])}
    started = max(cut(rng, created + (until - created) * rng.random()), created)
    stopped = max(cut(rng, started + (until - started) * rng.random()), started)
    status = rng.choices(["OPEN", "CLOSED", "ARCHIVED", "LOCKED"], [25, 45, 27, 3])[0]
    past = {"status": status, "last_started": api_time(started)}
    reason = rng.choices(CLOSE_REASONS, [40, 30, 15, 8, 5, 2])[0]
    if status != "OPEN":
        past |= {"last_stopped": api_time(stopped), "last_close_reason": reason}
    elif chance(rng, 0.5):
        # It was stopped once before it was last started.
        earlier = created + (started - created) * rng.random()
        past |= {"last_stopped": api_time(earlier), "last_close_reason": reason}
    return past


def growing_ids(rng: random.Random, count: int, first: int, last: int) -> Iterator[str]:
    """Yield growing ids with gaps, from few digits to many."""
    growth = (last / first) ** (1 / max(count - 1, 1))
    previous = 0
    for index in range(count):
        smooth = first * growth**index
        previous = max(previous + 1, int(smooth), int(smooth * (1 + (growth - 1) * rng.random())) - 1)
        yield str(previous)


def growing_times(rng: random.Random, exact: Iterable[datetime]) -> list[datetime]:
    """Return times in order, some of them the same."""
    times = sorted(cut(rng, at) for at in exact)
    for index in range(1, len(times)):
        if chance(rng, 0.05):
            times[index] = times[index - 1]
    return times


def cut(rng: random.Random, at: datetime) -> datetime:
    """Cut a time to milliseconds mostly, to whole seconds or not at all now and then."""
    unit = rng.choices([1, 1000, 1_000_000], [10, 80, 10])[0]
    return at.replace(microsecond=at.microsecond // unit * unit)


def owner(rng: random.Random) -> Item:
    """Return who made something."""
    return dict(rng.choices(OWNERS, [80, 15, 5])[0])


def quality_control(rng: random.Random) -> Item:
    """Return up to two rules of quality control."""
    return {"configs": [_rule(rng, *rule) for rule in rng.sample(RULES, rng.randrange(3))]}


def _rule(rng: random.Random, collector: str, key: str, parameters: Item) -> Item:
    ban = {
        "scope": rng.choice(["PROJECT", "ALL_PROJECTS"]),
        "duration": rng.randrange(1, 31),
        "duration_unit": "DAYS",
        "private_comment": collector.lower(),
    }
    return {
        "collector_config": {"uuid": f"{rng.getrandbits(128):032x}", "type": collector, "parameters": parameters},
        "rules": [
            {
                "conditions": [{"key": key, "operator": "GTE", "value": rng.choice([3, 10, 20.5])}],
                "action": {"type": "RESTRICTION_V2", "parameters": ban},
            }
        ],
    }


def _localization(rng: random.Random, theme: Theme, language: str) -> Item:
    others = [code for code in theme.titles if code != language]
    translated = [
        {"language": code, "public_name": {"value": theme.titles[code], "source": "REQUESTER"}}
        for code in rng.sample(others, rng.randrange(len(others) + 1))
    ]
    found: Item = {"default_language": language}
    return found | {"additional_languages": translated} if translated else found
