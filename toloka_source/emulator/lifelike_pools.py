"""Pools as a busy requester has them, the operations on them, and who is told of what happens in them."""

from datetime import timedelta

from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.lifelike import api_time, chance, owner, past_of, present, quality_control
from toloka_source.emulator.themes import THEMES, instructions

_PRICING = {
    "type": "SKILL",
    "skill_id": "1",
    "intervals": [{"from": 50, "to": 80, "reward_per_assignment": 0.05}, {"from": 80, "reward_per_assignment": 0.1}],
}
_MIXER = {
    "real_tasks_count": 9,
    "golden_tasks_count": 1,
    "training_tasks_count": 0,
    "mix_tasks_in_creation_order": True,
}
_DEEDS = ("OPEN", "OPEN", "CLOSE", "CLOSE", "ARCHIVE")
_EVENTS = ("ASSIGNMENT_APPROVED", "ASSIGNMENT_CREATED", "ASSIGNMENT_SUBMITTED", "POOL_CLOSED")


def pool(birth: Birth) -> Item:
    """Return a pool, its fields in the API's order; one that is new was never open."""
    rng = birth.rng
    past = {"status": "CLOSED"} if birth.is_new else past_of(rng, birth.created, birth.until)
    languages = {"category": "profile", "key": "languages", "operator": "IN", "value": rng.choice(["EN", "RU", "ES"])}
    expires = (birth.created + timedelta(days=365)).replace(hour=0, minute=0, second=0, microsecond=0)
    share = {"percent": rng.choice([10, 50, 90]), "type": "TOP_PERCENTAGE_BY_QUALITY"}
    return present(
        {
            "id": birth.id,
            "project_id": birth.some("projects")["id"],
            "private_name": f"{rng.choice(['Pool', 'Main', 'Пул', 'Retry'])} {rng.randrange(1, 200)}",
            "private_comment": rng.choice([None, None, "pilot", "for the audit"]),
            "public_description": rng.choice(THEMES).description if chance(rng, 0.2) else None,
            "public_instructions": instructions(rng, rng.choice(THEMES)) if chance(rng, 0.1) else None,
            "may_contain_adult_content": chance(rng, 0.1),
            "will_expire": api_time(expires),
            "auto_close_after_complete_delay_seconds": rng.choice([0, 0, 60, 3600]),
            "reward_per_assignment": rng.randrange(1, 31) / 100,
            "dynamic_pricing_config": _PRICING if chance(rng, 0.1) else None,
            "metadata": {"batch": [str(rng.randrange(99))]} if chance(rng, 0.3) else None,
            "assignment_max_duration_seconds": rng.choice([60, 300, 600, 1200]),
            "auto_accept_solutions": chance(rng, 0.7),
            "auto_accept_period_day": rng.choice([1, 7, 21]),
            "assignments_issuing_config": {"issue_task_suites_in_creation_order": chance(rng, 0.3)},
            "filter": {"and": [{"or": [languages]}]} if chance(rng, 0.8) else None,
            "quality_control": quality_control(rng),
            "mixer_config": _MIXER if chance(rng, 0.4) else None,
            "defaults": {"default_overlap_for_new_task_suites": rng.choice([1, 3, 5])},
            "priority": rng.choice([0, 0, 0, 50, 100]),
            "owner": owner(rng),
            "type": "REGULAR",
            "status": past["status"],
            "last_close_reason": past.get("last_close_reason"),
            "created": api_time(birth.created),
            "last_started": past.get("last_started"),
            "last_stopped": past.get("last_stopped"),
            "speed_quality_balance": share if chance(rng, 0.3) else None,
        }
    )


def operation(birth: Birth) -> Item:
    """Return an operation, its fields in the API's order; one that is new waits."""
    rng = birth.rng
    thing = rng.choice(["pool", "pool", "training"]) if birth.maybe("trainings") else "pool"
    status = "PENDING" if birth.is_new else rng.choices(["SUCCESS", "FAIL", "RUNNING", "PENDING"], [88, 8, 3, 1])[0]
    is_over = status in ("SUCCESS", "FAIL")
    started = min(birth.created + timedelta(milliseconds=rng.randrange(3000)), birth.until)
    finished = min(started + timedelta(milliseconds=rng.choice([0, rng.randrange(200_000)])), birth.until)
    reason = {"error": {"code": "NOT_ENOUGH_BALANCE", "message": "There is not enough money"}}
    return present(
        {
            "id": birth.id,
            "type": f"{thing.upper()}.{rng.choice(_DEEDS)}",
            "status": status,
            "submitted": api_time(birth.created),
            "started": None if status == "PENDING" else api_time(started),
            "finished": api_time(finished) if is_over else None,
            "progress": {"SUCCESS": 100, "PENDING": 0}.get(status, rng.randrange(1, 100)),
            "parameters": {f"{thing}_id": birth.some(f"{thing}s")["id"]},
            "details": reason if status == "FAIL" else {},
        }
    )


def subscription(birth: Birth) -> Item:
    """Return a subscription to what happens in a pool, its fields in the API's order."""
    return {
        "id": birth.id,
        "created": api_time(birth.created),
        "event_type": birth.rng.choice(_EVENTS),
        "webhook_url": f"https://hooks.example.com/toloka/{birth.rng.randrange(100)}",
        "pool_id": birth.some("pools")["id"],
    }
