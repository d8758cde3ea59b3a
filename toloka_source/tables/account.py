"""Whose list is read: with another account's token, its objects would go among those that the table holds."""

from typing import Any

import pyarrow as pa

from toloka_source.destinations.place import Place
from toloka_source.errors import AccountChangedError

_ACCOUNT, _PLACE = "account", "account_place"
"""Where a resource's state holds the account, and what was loaded into then."""


class AccountCheck:
    """The account of one run of a resource, as its own objects name it."""

    def __init__(self, resource: str, state: dict[str, Any], place: Place | None, *, allow: bool) -> None:
        """Begin a run; nothing is changed.

        Args:
            resource: The list.
            state: The resource's.
            place: What is loaded into, if anything is.
            allow: Whether it may be another account than the last time.
        """
        self._resource = resource
        self._state = state
        self._place = place and place.digest
        self._expected = None if allow or state.get(_PLACE) != self._place else state.get(_ACCOUNT)
        self._found: str | None = None

    def meet(self, rows: pa.Table) -> None:
        """Look at the owners of objects.

        Raises:
            AccountChangedError: The account is another one than the last time.
        """
        if not {"owner__id", "owner__myself"} <= {*rows.column_names}:
            return
        own = rows["owner__id"].filter(rows["owner__myself"]).drop_null()
        if not len(own):
            return
        self._found = str(own[0])
        if self._expected not in (None, self._found):
            raise AccountChangedError(
                f"{self._resource}: the token is of the account {self._found}, and the table was loaded from "
                f"{self._expected}; nothing was written: set the right token, or another dataset and pipeline, or "
                "allow it for one run with allow_shrink (--allow-shrink)"
            )

    def note(self) -> None:
        """Write into the state whose list was read, if its objects have said so."""
        if self._found:
            self._state |= {_ACCOUNT: self._found, _PLACE: self._place}
