"""How the objects of each list are made: lifelike where somebody wrote how, else from the list's schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from toloka_source.catalog.endpoint import Endpoint
from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.from_schema import from_schema
from toloka_source.emulator.lifelike import project, training
from toloka_source.emulator.lifelike_people import bonus, restriction, skill, user_skill
from toloka_source.emulator.lifelike_pools import operation, pool, subscription
from toloka_source.emulator.lifelike_threads import thread


@dataclass(frozen=True)
class Kind:
    """How the objects of a list are made.

    Attributes:
        make: Returns one of them.
        share: How many there are for each project.
        parent: The list to whose objects they belong: none of them is older than its oldest.
        unique: Fields that together are never the same in two of them.
    """

    make: Callable[[Birth], Item]
    share: float = 1.0
    parent: str | None = None
    unique: tuple[str, ...] = ()


def _project(birth: Birth) -> Item:
    return project(birth.rng, birth.id, "ACTIVE", birth.created)


def _training(birth: Birth) -> Item:
    return training(birth.rng, birth.id, birth.some("projects")["id"], birth.created, {"status": "CLOSED"})


LIFELIKE: Mapping[str, Kind] = MappingProxyType(
    {
        "projects": Kind(_project),
        "trainings": Kind(_training),
        "pools": Kind(pool, 2, "projects"),
        "skills": Kind(skill, 0.1),
        "user_skills": Kind(user_skill, 3, "skills", ("user_id", "skill_id")),
        "user_bonuses": Kind(bonus, 4, "pools"),
        "user_restrictions": Kind(restriction, 0.5, "pools"),
        "operations": Kind(operation, 3, "pools"),
        "message_threads": Kind(thread, 1, "pools"),
        "webhook_subscriptions": Kind(subscription, 0.1, "pools"),
    }
)
"""The lists whose objects are lifelike, each after those that it refers to."""


def kind_of(endpoint: Endpoint) -> Kind:
    """Return how the objects of a list are made."""
    return LIFELIKE.get(endpoint.name) or Kind(partial(from_schema, endpoint))
