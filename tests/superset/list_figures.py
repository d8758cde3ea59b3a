"""What the dashboard's second tab has to show of an account, worked out from its objects alone."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from toloka_source.emulator import Account

POOL_STATES, OPEN_POOLS, BONUS_MONTHS, BONUS_PROJECTS, SKILLS, RESTRICTIONS = OF_LISTS = (
    "Pools by status",
    "Open pools",
    "Bonuses by month",
    "Bonuses by project",
    "Skills held",
    "Restrictions in force",
)
BY_PROJECT = {POOL_STATES, OPEN_POOLS, BONUS_MONTHS, BONUS_PROJECTS}
"""Those that the filter by project holds for."""

COLUMNS = {
    POOL_STATES: ("pool_status", "pools"),
    OPEN_POOLS: ("pool_name", "project_name", "reward", "days_open"),
    BONUS_MONTHS: ("created_at", "dollars"),
    BONUS_PROJECTS: ("project_name", "project_id", "dollars", "bonuses"),
    SKILLS: ("skill_name", "skill_id", "tolokers"),
    RESTRICTIONS: ("scope", "restrictions"),
}


def list_figures(account: Account, project: str | None = None) -> dict[str, Any]:
    """Return the figures of an account's lists; of pools and bonuses those of the projects with this name, if any."""
    names = {item["id"]: item["public_name"] for item in account.projects}
    of_pools = {item["id"]: item["project_id"] for item in account.objects("pools")}
    pools = [item for item in account.objects("pools") if project in (None, names[item["project_id"]])]
    bonuses = [
        (item["created"][:7], float(item["amount"]), project_id)
        for item in account.objects("user_bonuses")
        for project_id in [of_pools.get(_pool(item))]
        if project in (None, names.get(project_id))
    ]
    opened = sorted(
        (item for item in pools if item["status"] == "OPEN"), key=lambda item: (_time(item["last_started"]), item["id"])
    )
    holders = defaultdict[str, set[str]](set)
    for item in account.objects("user_skills"):
        holders[item["skill_id"]].add(item["user_id"])
    skills = {item["id"]: item["name"] for item in account.objects("skills")}
    months, projects = defaultdict[str, list[float]](list), defaultdict[str | None, list[float]](list)
    for month, amount, project_id in bonuses:
        months[month].append(amount)
        projects[project_id].append(amount)
    return {
        POOL_STATES: Counter(item["status"] for item in pools),
        OPEN_POOLS: [
            (
                item["private_name"],
                names[item["project_id"]],
                item["reward_per_assignment"],
                (datetime.now(UTC) - _time(item["last_started"])).days,
            )
            for item in opened
        ],
        BONUS_MONTHS: {month: round(sum(amounts), 6) for month, amounts in months.items()},
        BONUS_PROJECTS: {
            (names.get(id_), id_, round(sum(amounts), 6), len(amounts)) for id_, amounts in projects.items()
        },
        SKILLS: {(skills[id_], id_, len(users)) for id_, users in holders.items()},
        RESTRICTIONS: Counter(
            item["scope"]
            for item in account.objects("user_restrictions")
            if not item.get("will_expire") or _time(item["will_expire"]) > datetime.now(UTC)
        ),
    }


def list_shown(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return what a chart of the second tab shows in the form of what is expected."""
    found = [tuple(row[name] for name in COLUMNS[title]) for row in rows]
    if title == BONUS_MONTHS:
        return {f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m}": round(dollars, 6) for at, dollars in found}
    if title == BONUS_PROJECTS:
        return {(name, id_, round(dollars, 6), count) for name, id_, dollars, count in found}
    if title in (POOL_STATES, RESTRICTIONS):
        return dict(found)
    return set(found) if title == SKILLS else found


def _pool(bonus: Mapping[str, Any]) -> str | None:
    """Return the pool of a bonus's answer, which begins with its id in hexadecimal digits."""
    pool, _, answer = (bonus.get("assignment_id") or "").partition("--")
    return str(int(pool, 16)) if answer else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
