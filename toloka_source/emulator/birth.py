"""What somebody who makes an object has to know."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Item = dict[str, Any]

_NO_OBJECT: Item = {"id": "1"}


@dataclass(frozen=True)
class Birth:
    """An object that comes to be.

    Attributes:
        rng: Where its values come from.
        id: Its id.
        created: When it comes to be.
        until: What has happened to it since happened before; `created` itself for an object that is new.
        pick: Returns any object of a list, of those that were there at the time; None if there was none.
    """

    rng: random.Random
    id: str
    created: datetime
    until: datetime
    pick: Callable[[random.Random, str], Item | None]

    @property
    def is_new(self) -> bool:
        """Whether nothing has happened to it yet."""
        return self.until <= self.created

    def some(self, resource: str) -> Item:
        """Return any object of a list; one that has only an id where the list is empty."""
        return self.maybe(resource) or _NO_OBJECT

    def maybe(self, resource: str) -> Item | None:
        """Return any object of a list, None where the list is empty."""
        # with dice of its own: what else the object is doesn't depend on other lists
        return self.pick(random.Random(f"{self.id} {resource}"), resource)  # noqa: S311 - sample data

    def later(self) -> datetime:
        """Return a time at which something happened to it, in milliseconds."""
        at = self.created + (self.until - self.created) * self.rng.random()
        return max(at.replace(microsecond=at.microsecond // 1000 * 1000), self.created)
