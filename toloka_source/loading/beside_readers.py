"""A load into a DuckDB file beside those who read it: into a copy, which takes the file's place when all is done.

Readers neither wait nor fail, other writers are kept off meanwhile, and a kill at any moment leaves the file as it was.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir

from toloka_source._dlt import POSTGRES
from toloka_source._dlt_duckdb import around_load, duckdb_path, opening, sqlite_catalog
from toloka_source.destinations import duckdb_file
from toloka_source.destinations.ducklake import make_catalog
from toloka_source.destinations.place import place_of
from toloka_source.destinations.postgres_lock import staging_locked
from toloka_source.errors import BusyError, ConfigurationError, DestinationError, DestinationLockedError
from toloka_source.loading import unpublished
from toloka_source.loading.lock import locked

_TURNS: defaultdict[Path, RLock] = defaultdict(RLock)
"""DuckDB opens a file once in a process, by one configuration: threads that load into the same one take turns."""


class BesideReaders:
    """What a pipeline loads into: a copy of its DuckDB file, or the destination itself where that can't be."""

    def __init__(
        self, pipeline: dlt.Pipeline, *, publish: bool, lock_timeout: float, turn_timeout: float | None
    ) -> None:
        """Look at the destination; nothing is opened yet.

        Args:
            pipeline: The pipeline.
            publish: Whether to load into a copy.
            lock_timeout: How many seconds to wait for another process that has the file.
            turn_timeout: The same for another load of ours; None for as long as it takes.

        Raises:
            ConfigurationError: An argument can't work.
        """
        check_timeout(lock_timeout)
        self._pipeline = pipeline
        self._lock_timeout = lock_timeout
        self._turn_timeout = turn_timeout
        self._named = duckdb_path(pipeline)
        self._is_wanted = publish and self._named is not None
        self._path = (self._named or Path("none")).resolve()
        self._turn = self._path if self._named else _turn(pipeline)
        self._folder = self._path.with_name(f".{self._path.name}.loading")
        # DuckDB calls a database by the name of its file, which the copy has to bear too
        self._copy = self._folder / (self._named or self._path).name
        self._process = self._folder / "process"
        self._is_writing = False
        self.is_copying = False
        """Whether a copy is loaded into, in `opened`."""
        self.keeps_open = True
        """Whether the copy stays open until all is in it, so that DuckDB writes the tables once.

        A reader opens the file once for its header and once more for the rest. Where the tables were written once, the
        rest still has all that the header of the file before speaks of.
        """
        self.before_load: Callable[[], None] = lambda: None
        """Called by the load step when nobody else can load into the same place any more."""
        self._copied: tuple[object, ...] = ()
        self._opened, self._held = ExitStack(), ExitStack()
        self._connection: Any = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let the pipeline read its destination in here, and load into it without a reader's noticing.

        What was loaded is there when this ends; nothing of it if it ends by an error.

        Raises:
            DestinationLockedError: Another process has the file.
            DestinationError: The file can't be copied, or can't be replaced.
        """
        make_catalog(self._pipeline)
        with _TURNS[self._path] if self._named else nullcontext(), self._exchanged():
            yield

    @contextmanager
    def _exchanged(self) -> Iterator[None]:
        given = self._pipeline.destination
        self.is_copying = self._named is not None and self._is_free_to_copy()
        if self.is_copying:
            self._pipeline.destination = opening(self._pipeline, read_only=True)
        try:
            with around_load(self._pipeline, self._loading):
                yield
            self.publish()
        except BaseException:
            self._give_up()
            raise
        finally:
            self._pipeline.destination = given

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the file open for whatever is asked of it in here: to open it takes DuckDB 20 ms each time."""
        with self._pipeline.destination_client() if self.is_copying else nullcontext():
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let the pipeline write in here."""
        if self._is_writing:
            yield
            return
        self._is_writing = True
        reading = self._pipeline.destination
        try:
            if self.is_copying:
                self._begin()
                self._pipeline.destination = opening(self._pipeline, file=self._copy)
                if self.keeps_open:
                    client: Any = self._pipeline.destination_client()
                    self._opened.enter_context(client)
                    self._connection = client.sql_client.native_connection
                yield
            else:
                with self._alone():
                    yield
        except BaseException:
            self._give_up()
            raise
        finally:
            self._is_writing = False
            self._pipeline.destination = reading

    def _alone(self) -> AbstractContextManager[None]:
        if self._turn:
            return locked(self._turn, timeout=self._turn_timeout)
        return staging_locked(self._pipeline, self._turn_timeout)

    @contextmanager
    def _loading(self) -> Iterator[None]:
        # an idle run has nothing to load, and needs no copy
        with self.writing() if self._pipeline.list_normalized_load_packages() else nullcontext():
            self.before_load()
            yield

    def _is_free_to_copy(self) -> bool:
        """Wait until the file can be read, or written where it can't be copied; make it if there is none."""
        can_copy = self._is_wanted and duckdb_file.can_replace(self._path)
        if can_copy:
            self._make_ready()
        if duckdb_file.wait_for_writers(self._path, self._lock_timeout):
            return False  # this process would go on with the old file
        if not can_copy:
            duckdb_file.wait_for_all(self._path, self._lock_timeout)
        return can_copy

    def _make_ready(self) -> None:
        """Remove what a kill has left, and make the file if there is none."""
        if not self._path.exists():
            with self._held:
                self._take_turn()  # another process may be making it
                if not self._path.exists():
                    self._empty_folder()
                    duckdb_file.create(self._copy)
                    self._copy.replace(self._path)
        elif self._folder.exists() or Path(f"{self._path}.lock").exists():
            with suppress(BusyError), locked(self._path, "it is loaded into"):
                shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        """Make the copy, unless there is one, and keep the packages that go into it."""
        if not self._copied:
            self._take_turn()
            self._empty_folder()
            self._process.write_text(str(os.getpid()), encoding="ascii")
            if duckdb_file.log_of(self._path).exists():
                # DuckDB would take the log of the old file for one of the new file
                duckdb_file.wait_for_all(self._path, self._lock_timeout)
                duckdb_file.checkpoint(self._path)
            original = self._held.enter_context(duckdb_file.without_writers(self._path, self._lock_timeout))
            copied = duckdb_file.state_of(self._path)
            duckdb_file.copy(original, self._path, self._copy)
            self._copied = copied
        unpublished.keep(self._pipeline)

    def _take_turn(self) -> None:
        try:
            self._held.enter_context(locked(self._path, timeout=self._turn_timeout))
        except BusyError as error:
            said = str(error)
            with suppress(FileNotFoundError):
                process = self._process.read_text(encoding="ascii")
                said = f"process {process} loads into {self._path}: wait until it ends, then run again"
            raise DestinationLockedError(said) from None
        self._held.callback(shutil.rmtree, self._folder, ignore_errors=True)

    def _empty_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)

    def publish(self) -> None:
        """Put what was loaded into the file's place.

        Raises:
            DestinationError: It can't be.
        """
        if self._copied:
            if self._connection:
                duckdb_file.write_tables(self._connection)
            self._opened.close()
            duckdb_file.checkpoint(self._copy)
            if duckdb_file.state_of(self._path) != self._copied:
                raise DestinationError(f"another program wrote into {self._path} meanwhile: run again")
            try:
                self._copy.replace(self._path)
            except OSError as error:
                remedy = "load with publish=False, or --no-publish"
                raise DestinationError(f"{self._path} can't be replaced: {error.strerror}: {remedy}") from error
            unpublished.forget(self._pipeline)
            self._end()

    def _give_up(self) -> None:
        if self._copied:
            unpublished.put_back_failed(self._pipeline)
        self._end()

    def _end(self) -> None:
        self._copied, self._connection = (), None
        with self._held:
            self._opened.close()


def _turn(pipeline: dlt.Pipeline) -> Path | None:
    """Return what loads from this machine into one place hold in turn; None where the destination has a lock.

    Of two that merge at once, most destinations lose one's rows, double them or refuse them.
    """
    if pipeline.destination.destination_type == POSTGRES:
        return None
    catalog = sqlite_catalog(pipeline)
    if catalog:
        return catalog.resolve()
    folder = Path(get_dlt_pipelines_dir())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{pipeline.destination.destination_name}_{place_of(pipeline).digest[:12]}"


def check_timeout(seconds: object) -> None:
    """Check a time to wait.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise ConfigurationError("lock_timeout", seconds, "must be a number of seconds, 0 or more")
