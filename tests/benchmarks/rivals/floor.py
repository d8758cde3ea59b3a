"""The floor: what the same work takes without a framework, by hand, for this one case.

Pages come over eight kept-alive connections, become tables by this project's own conversion, and are written to
DuckDB as they are. No state, no schema evolution, no retries, no recovery: nobody should load data like this.
Compare runs alone: the conversion's package imports dlt, so a whole process pays for that here too.
"""

import http.client
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from queue import LifoQueue
from urllib.parse import urlencode, urlsplit

import duckdb
import msgspec
import pyarrow as pa

from tests.benchmarks import checks
from toloka_source import ENDPOINTS
from toloka_source.api.client import Item
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.tables.arrow import to_table

CONCURRENCY = 8
FILE = "floor.duckdb"
TABLE_ROWS = 5_000


class _Page(msgspec.Struct):
    items: list[Item]
    has_more: bool


@dataclass(frozen=True)
class _Range:
    """A part of a list: the filters' objects with ids in (after, until]."""

    name: str
    filters: Mapping[str, str]
    after: int = 0
    until: int | None = None

    @property
    def query(self) -> dict[str, str]:
        until = {} if self.until is None else {"id_lte": str(self.until)}
        return {"sort": "id", "limit": "300", "id_gt": str(self.after), **until, **self.filters}


class Reader:
    """Reads lists over a few connections at once."""

    def __init__(self, base_url: str) -> None:
        """Prepare; nothing is sent yet."""
        self._parts = urlsplit(base_url)
        # last in, first out: what isn't needed never connects
        self._idle: LifoQueue[http.client.HTTPConnection] = LifoQueue()
        self._connections = [
            http.client.HTTPConnection(self._parts.hostname or "", self._parts.port) for _ in range(CONCURRENCY)
        ]
        for connection in self._connections:
            self._idle.put(connection)
        self._decoder = msgspec.json.Decoder(_Page)

    def read(self, ranges: list[_Range]) -> Iterator[tuple[str, list[Item]]]:
        """Yield the objects of some lists, page by page, in any order.

        A range is cut in two whenever a connection has nothing to do.
        """
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            pending: dict[Future[_Page], _Range] = {pool.submit(self._get, part): part for part in ranges}
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    page, part = future.result(), pending.pop(future)
                    for further in self._rest(part, page, idle=CONCURRENCY - len(pending)):
                        pending[pool.submit(self._get, further)] = further
                    yield part.name, page.items
        for connection in self._connections:
            connection.close()

    def _rest(self, part: _Range, page: _Page, idle: int) -> list[_Range]:
        if not page.has_more:
            return []
        rest = replace(part, after=_id(page.items[-1]))
        if rest.until is None:
            # the greatest id: without it there is nothing to cut
            (last,) = self._get(part, {"sort": "-id", "limit": "1", **part.filters}).items
            rest = replace(rest, until=_id(last))
        middle = (rest.after + (rest.until or 0)) // 2
        if idle > 1 and rest.after < middle:
            return [replace(rest, until=middle), replace(rest, after=middle)]
        return [rest]

    def _get(self, part: _Range, query: Mapping[str, str] | None = None) -> _Page:
        target = f"{self._parts.path}/{part.name}?{urlencode(query or part.query)}"
        connection = self._idle.get()
        connection.request("GET", target, headers={"Authorization": "OAuth benchmark"})
        response = connection.getresponse()
        body = response.read()
        self._idle.put(connection)
        assert response.status == http.client.OK, body
        return self._decoder.decode(body)


def prepare(base_url: str) -> Reader:
    """Return what reads from the server."""
    return Reader(base_url)


def first_load(reader: Reader) -> int:
    """Load everything."""
    written = 0
    with duckdb.connect(FILE) as connection:
        for name, table in _tables(reader, [_Range(name, {}) for name in DEFAULT_ENDPOINTS]):
            connection.register("new", table)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM new LIMIT 0")
            connection.execute(f"INSERT INTO {name} FROM new")
            written += table.num_rows
    return written


def increment(reader: Reader) -> int:
    """Load what is new or restarted since the greatest times in the tables."""
    written = 0
    with duckdb.connect(FILE) as connection:
        ranges = []
        for name, endpoint in DEFAULT_ENDPOINTS.items():
            times = [_greatest(connection, name, cursor.name) for cursor in endpoint.cursors]
            for number, cursor in enumerate(endpoint.cursors):
                covered = {f"{endpoint.cursors[0].name}_lte": times[0]} if number else {}
                ranges.append(_Range(name, {f"{cursor.name}_gt": times[number], **covered}))
        for name, table in _tables(reader, ranges):
            connection.register("new", table)
            connection.execute("BEGIN")
            connection.execute(f"DELETE FROM {name} USING new WHERE {name}.id = new.id")  # noqa: S608 - our own names
            connection.execute(f"INSERT INTO {name} FROM new")
            connection.execute("COMMIT")
            written += table.num_rows
    return written


def rescan(reader: Reader) -> int:
    """Load everything again."""
    with duckdb.connect(FILE) as connection:
        for name in DEFAULT_ENDPOINTS:
            connection.execute(f"DROP TABLE {name}")
    return first_load(reader)


def check() -> checks.Facts:
    """Return what is in the tables."""
    return checks.of_tables(FILE, {name: f"FROM {name}" for name in DEFAULT_ENDPOINTS})


def _tables(reader: Reader, ranges: list[_Range]) -> Iterator[tuple[str, pa.Table]]:
    gathered: dict[str, list[Item]] = {name: [] for name in DEFAULT_ENDPOINTS}
    for name, items in reader.read(ranges):
        gathered[name] += items
        if len(gathered[name]) >= TABLE_ROWS:
            yield name, _table(name, gathered[name])
            gathered[name] = []
    for name, items in gathered.items():
        if items:
            yield name, _table(name, items)


def _table(name: str, items: list[Item]) -> pa.Table:
    table, rejected = to_table(items, ENDPOINTS[name].schema)
    assert not rejected
    return table


def _greatest(connection: duckdb.DuckDBPyConnection, name: str, cursor: str) -> str:
    connection.execute("SET TimeZone = 'UTC'")
    query = f"SELECT strftime(max({cursor}), '%Y-%m-%dT%H:%M:%S.%f') FROM {name}"  # noqa: S608 - our own names
    ((greatest,),) = connection.execute(query).fetchall()
    return str(greatest)


def _id(item: Item) -> int:
    return int(msgspec.json.decode(item["id"], type=str))
