"""What a run did."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlt.common.pipeline import LoadInfo


@dataclass(frozen=True)
class ResourceReport:
    """What a run did for one resource.

    Attributes:
        name: The resource.
        rows: Rows loaded, rejected objects not counted.
        requests: Requests sent, retries included.
        retries: How many of them were retries.
        rejected: Objects that went to `rejected_items`, as they don't fit their schema.
        is_backfill: Whether the run was a back-fill, which leaves the cursor alone.
        window_start: The window's start (UTC), not in it; None: everything was read.
        window_end: The moment (UTC) up to which the table is complete; None: the run was ended early, by `add_limit`.
        seconds: Time from the resource's first request to its last row.
    """

    name: str
    rows: int
    requests: int
    retries: int
    rejected: int
    is_backfill: bool
    window_start: datetime | None
    window_end: datetime | None
    seconds: float


@dataclass(frozen=True)
class LoadReport:
    """What a run did.

    Attributes:
        resources: A report for each resource.
        seconds: Time for the whole run, loading included.
        load_info: What dlt says of the load; of two, where tables had gone from the destination and were loaded anew.
    """

    resources: tuple[ResourceReport, ...]
    seconds: float
    load_info: "tuple[LoadInfo, ...]" = field(default=(), repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as machines get it, without what dlt says."""
        return {"resources": [asdict(resource) for resource in self.resources], "seconds": self.seconds}
