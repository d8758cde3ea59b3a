"""What a run did."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toloka_source.errors import AccountChangedError, PermissionDeniedError

if TYPE_CHECKING:
    from dlt.common.pipeline import LoadInfo


@dataclass(frozen=True)
class ResourceReport:
    """What a run did for one resource.

    Attributes:
        name: The resource.
        kind: "first", "re-scan" (both read the whole list), "increment" or "back-fill".
        reason: Why the whole list was read; empty if it wasn't.
        rows: Rows loaded, rejected objects not counted.
        new: Objects that the table didn't have; None if the destination wasn't asked, as in a back-fill.
        changed: Objects that it had with another content; None as for `new`.
        unchanged: Objects that it had just so, and that weren't loaded again.
        is_short: Whether most of what the table has is missing from the list: the token may be another account's.
        is_forbidden: Whether the token may not read the list: nothing was loaded of it.
        gone: Objects that it has and the list no longer has, noted in `gone_items` by this run.
        requests: Requests sent, retries included.
        retries: How many of them were retries.
        rejected: Objects that went to `rejected_items`, as they don't fit their schema.
        window_start: The window's start (UTC), not in it; None: everything was read.
        window_end: The moment (UTC) up to which the table is complete; None: the run was ended early, by `add_limit`.
        seconds: Time from the resource's first request to its last row.
    """

    name: str
    kind: str
    reason: str
    rows: int
    new: int | None
    changed: int | None
    unchanged: int
    gone: int
    is_short: bool
    is_forbidden: bool
    requests: int
    retries: int
    rejected: int
    window_start: datetime | None
    window_end: datetime | None
    seconds: float

    @property
    def is_backfill(self) -> bool:
        """Whether the run was a back-fill, which leaves the cursor alone."""
        return self.kind == "back-fill"


@dataclass(frozen=True)
class LoadReport:
    """What a run did.

    Attributes:
        resources: A report for each resource.
        seconds: Time for the whole run, loading included.
        load_info: What dlt says of the load.
    """

    resources: tuple[ResourceReport, ...]
    seconds: float
    load_info: "tuple[LoadInfo, ...]" = field(default=(), repr=False, compare=False)

    @property
    def is_short(self) -> bool:
        """Whether most of what a table has is missing from its list: the token may be another account's."""
        return any(resource.is_short for resource in self.resources)

    def raise_if_short(self) -> None:
        """Fail for who reads no log.

        Raises:
            AccountChangedError: Most of what a table has is missing from its list; nothing was written of it.
        """
        if self.is_short:
            names = ", ".join(resource.name for resource in self.resources if resource.is_short)
            raise AccountChangedError(
                f"{names}: most objects that the table holds are missing from the list, see the log"
            )

    def raise_if_forbidden(self) -> None:
        """Fail for who reads no log.

        Raises:
            PermissionDeniedError: The token may not read some of the lists; the others were loaded.
        """
        names = ", ".join(resource.name for resource in self.resources if resource.is_forbidden)
        if names:
            raise PermissionDeniedError(
                f"{names}: the token may not read it, the other lists were loaded; give it the right, or leave it out"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as machines get it, without what dlt says."""
        return {"resources": [asdict(resource) for resource in self.resources], "seconds": self.seconds}
