"""One run of one resource: what is read goes on to dlt as far as it is new, with what it shows beside.

The cursor moves when the last row was taken: a run that ends early has promised nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event
from time import monotonic
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import C_DLT_ID
from dlt.sources import incremental

from toloka_source import _dlt
from toloka_source.api.client import Client
from toloka_source.catalog import Endpoint, schemas
from toloka_source.destinations.known_rows import KnownRows, known_rows, without_known
from toloka_source.destinations.place import Place
from toloka_source.errors import AccountChangedError, PermissionDeniedError, RejectedItemsError
from toloka_source.settings import EPOCH, Settings
from toloka_source.tables.account import AccountCheck
from toloka_source.tables.arrow import Rejected, rejected_table
from toloka_source.tables.background import run_ahead
from toloka_source.tables.changes import Changes
from toloka_source.tables.forbidden import do_others_go_on
from toloka_source.tables.further_tables import GONE_ITEMS, REJECTED_ITEMS, history_of
from toloka_source.tables.gone import absences
from toloka_source.tables.hints import RunHints, Terms, with_load_id
from toloka_source.tables.history import History
from toloka_source.tables.log_filters import silence_json_warning
from toloka_source.tables.reading import Built, Reading

log = logging.getLogger(__name__)

RUN_METRICS = "run"
"""Where a resource's metrics in dlt's trace hold what its run did."""

_TABLES_AHEAD = 1


class Run:
    """One run of one resource."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        cursor: incremental[datetime],
        client: Client,
        hints: RunHints,
        place: Place | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            endpoint: What to load.
            settings: The source's.
            cursor: dlt's cursor, bound to the resource.
            client: Reads the pages.
            hints: The resource's.
            place: What is loaded into, if anything is.
        """
        self._endpoint = endpoint
        self._settings = settings
        self._cursor = cursor
        self._client = client
        self._hints = hints
        self._place = place
        self._reading = Reading(endpoint, settings, cursor, client, place)
        self._account = AccountCheck(endpoint.name, self._reading.state, place, allow=settings.allow_shrink)
        self._terms = Terms()
        self._changes = Changes(None, is_whole=False)
        self._history: History | None = None
        self._rejected: list[Rejected] = []
        self._objects = 0
        self._is_compared = Event()
        self._has_rows = False
        self._knows_gone = False

    def tables(self) -> Iterator[Any]:
        """Yield the rows as tables (None: not yet), then the objects that don't fit; then move the cursor."""
        started = monotonic()
        resource = dlt.current.resource()
        # what isn't complete has no end: nothing is promised of it
        metrics: dict[str, Any] = {"window_end": None, "rejected": 0, "gone": 0}
        metrics |= {"is_short": False, "is_forbidden": False, **self._changes.counts()}
        dlt.current.resource_metrics()[RUN_METRICS] = metrics
        reading = self._reading
        try:
            silence_json_warning(resource.name)
            self._terms = self._hints.fit(resource, self._place)
            yield from self._tables(metrics)
            metrics["window_end"] = reading.as_of
        except PermissionDeniedError as error:
            # a table that is replaced would be emptied
            is_kept = self._terms.table is not None
            if self._objects or not is_kept or not do_others_go_on(resource.name, error):
                raise
            metrics["is_forbidden"] = True
        finally:
            metrics |= {
                "kind": reading.kind,
                "reason": reading.reason,
                "window_start": reading.window.start,
                "requests": self._client.requests,
                "retries": self._client.retries,
                "seconds": monotonic() - started,
            }

    def _tables(self, metrics: dict[str, Any]) -> Iterator[Any]:
        if self._reading.is_pushed_down:
            self._cursor.advance(None)  # type: ignore[arg-type] # documented: only to pass all rows
        for table, moment in self._built(metrics):
            if table is None:
                yield None
                continue
            versions = self._history.versions(table, moment) if self._history else None
            if versions is not None and versions.num_rows:
                self._has_rows = True
                yield self._further(history_of(self._endpoint.name), versions)
            rows = self._changes.new_rows(table)
            if rows.num_rows:
                self._has_rows = True
                yield self._for_dlt(rows)
                # else the memory of tables that were written stays with the threads that made them: 40 MB and more
                pa.default_memory_pool().release_unused()
        # an empty account gets its tables too, and the first window of a back-fill makes them for those beside it
        if not self._has_rows and not self._reading.is_increment and self._changes.is_empty_there:
            yield self._for_dlt(self._endpoint.schema.append(schemas.HASH).empty_table())
        metrics |= self._changes.counts()
        for name, further in self._further_tables(metrics):
            self._has_rows = True
            yield self._further(name, further)
        if self._reading.keeps_state and (self._has_rows or self._reading.window.whole):
            self._account.note()
            self._reading.note(self._objects, is_complete=self._knows_gone)

    def _built(self, metrics: dict[str, Any]) -> Iterator[tuple[pa.Table | None, datetime]]:
        """Yield the tables of what is read (None: not yet), and when that was; keep the objects that don't fit."""
        reading = self._reading.tables(self._hints, self._wait_for_known)
        try:
            for built in run_ahead(reading, _TABLES_AHEAD, self._client.close):
                if built is None:
                    yield None, EPOCH
                elif built.table is None:
                    self._compare()
                    self._is_compared.set()
                else:
                    self._meet(built, built.table, metrics)
                    yield built.table, built.moment
        finally:
            self._is_compared.set()  # the thread may still wait

    def _meet(self, built: Built, table: pa.Table, metrics: dict[str, Any]) -> None:
        self._objects += table.num_rows + len(built.misfits) + len(built.unchanged)
        self._rejected += built.misfits
        metrics["rejected"] = len(self._rejected)
        if built.misfits and self._settings.strict:
            first = built.misfits[0]
            raise RejectedItemsError(f"{self._endpoint.name}: id {first.id}, {first.field}: {first.reason}")
        self._account.meet(table)
        if len(built.unchanged):
            self._changes.note_unchanged(built.unchanged)

    def _wait_for_known(self) -> Sequence[KnownRows]:
        """Return the rows that an object has to be among to be unchanged; none if that can't be told by all of them."""
        self._is_compared.wait()
        known = [self._changes.known, *([self._history.known] if self._history else [])]
        asked = [one for one in known if one is not None and len(one.hashes)]
        return asked if len(asked) == len(known) else []

    def _further_tables(self, metrics: dict[str, Any]) -> Iterator[tuple[str, pa.Table]]:
        """Yield what goes to other tables: objects that don't fit, and what is gone."""
        name = self._endpoint.name
        if self._rejected:
            log.warning("%s: %d objects don't fit, see table %s", name, len(self._rejected), REJECTED_ITEMS)
            table = rejected_table(self._rejected, name, datetime.now(UTC))
            if self._changes.are_compared:
                table = without_known(table, REJECTED_ITEMS, "key")
            if table.num_rows:
                yield REJECTED_ITEMS, table
        compared = self._changes.ids()
        if compared and self._reading.shows_what_is_gone:
            known, met = compared
            others = pa.array([misfit.id.strip('"') for misfit in self._rejected if misfit.id], pa.string())
            met = pa.chunked_array([*met.chunks, others], pa.string())
            newest, as_of = self._terms.newest, self._reading.as_of
            gone, shrink = absences(name, known, met, as_of, self._settings, self._reading.state, newest=newest)
            if shrink:
                self._refuse(shrink, metrics)
            if gone is None:
                return
            self._knows_gone = True
            if gone.num_rows:
                metrics["gone"] = gone["back_at"].null_count
                yield GONE_ITEMS, gone
            ended = self._history.gone(met, as_of) if self._history else None
            if ended is not None and ended.num_rows:
                yield history_of(name), ended

    def _refuse(self, why: str, metrics: dict[str, Any]) -> None:
        """Have the run write nothing."""
        if self._has_rows:
            raise AccountChangedError(why)
        metrics["is_short"] = True
        log.warning(why)

    def _compare(self) -> None:
        """Begin to compare what is read with what the destination holds."""
        terms, is_whole = self._terms, self._reading.window.whole
        if terms.table is None or not self._reading.keeps_state:
            return
        self._changes = Changes(partial(known_rows, terms.table, newest=terms.newest), is_whole=is_whole)
        if self._settings.history and not (self._place and self._place.has_tables):
            log.warning("%s: a destination that has no tables gets no history", self._endpoint.name)
        elif self._settings.history:
            seen_at = self._reading.full_scans.complete_at
            self._history = History(self._endpoint.name, seen_at, is_whole=is_whole, newest=terms.newest)

    def _for_dlt(self, table: pa.Table) -> object:
        """Return the table as dlt takes it: with what dlt adds to rows that aren't Arrow's, and hints."""
        if self._terms.has_version:
            # what dlt's scd2 tells versions by
            versions = [f"{one:x}" for one in table[schemas.HASH.name].cast(pa.int64()).to_pylist()]
            column = pa.field(C_DLT_ID, schemas.TEXT, nullable=False)
            table = table.append_column(column, pa.array(versions, schemas.TEXT))
        unknown = self._hints.of_unknown_columns(table, self._endpoint.name)
        table = with_load_id(table)
        return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=unknown)) if unknown else table

    def _further(self, name: str, table: pa.Table) -> object:
        is_of_objects = name == history_of(self._endpoint.name)
        unknown = self._hints.of_unknown_columns(table, self._endpoint.name) if is_of_objects else []
        return _dlt.past_all_steps(with_load_id(table), name, unknown)
