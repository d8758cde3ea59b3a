"""A requester's account: all its lists, and the changes that happen to them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from toloka_source.emulator import lifelike
from toloka_source.emulator.clock import Clock
from toloka_source.emulator.events import Events
from toloka_source.emulator.history import History, how_many
from toloka_source.emulator.lists import MISSING

__all__ = ["MISSING", "Account"]


class Account(Events):
    """Everything that one requester has: projects, trainings, pools and so on.

    Any thread may read and change it at any time. Everything it returns is a copy: only the methods change the account.
    """

    @classmethod
    def lifelike(
        cls,
        projects: int = 1000,
        trainings: int | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        until: datetime | None = None,
        *,
        others: Mapping[str, int] | bool = False,
    ) -> Self:
        """Return an account with about three years of history.

        Args:
            projects: How many projects.
            trainings: How many trainings; three for every four projects unless told.
            seed: The same arguments give the same objects.
            clock: The account's clock.
            until: Nothing in the account is younger; ten minutes before the clock's time unless told.
            others: Whether the other lists have objects, too: True for as many as so many projects suggest, or how many
                of each, such as `{"pools": 50, "user_bonuses": 2000}`. They belong together; ValueError for a list
                without that which it belongs to.
        """
        account = cls(clock)
        until = until or account.clock.now() - timedelta(minutes=10)
        if until.tzinfo is not None:
            until = until.astimezone(UTC).replace(tzinfo=None)
        if trainings is None:
            trainings = projects * 3 // 4
        made_projects, made_trainings = lifelike.history(projects, trainings, seed, until)
        account._fill("projects", made_projects)
        account._fill("trainings", made_trainings)
        wanted = how_many(others, projects)
        history = History(seed, until, {"projects": made_projects, "trainings": made_trainings} if wanted else {})
        for name, count in wanted.items():
            account._fill(name, history.make(name, count))
        return account

    @property
    def projects(self) -> list[dict[str, Any]]:
        """All projects in the order of their ids."""
        return self.objects("projects")

    @property
    def trainings(self) -> list[dict[str, Any]]:
        """All trainings in the order of their ids."""
        return self.objects("trainings")
