"""A place in each kind of destination; what a kind is known not to do has to fail there."""

from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dlt
import duckdb
import pytest
from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials
from fsspec.implementations.local import LocalFileSystem

from tests.conftest import fill
from tests.destinations.kinds import CHECKS, KINDS, LIMITS, OF_THE_PLACE, OTHER_PLACES
from tests.destinations.stores import (
    BucketStore,
    DeltaStore,
    IcebergStore,
    ParquetStore,
    PostgresStore,
    SqlalchemyStore,
    Store,
)
from toloka_source.emulator import Emulator

if TYPE_CHECKING:
    from tests.destinations.servers import Bucket

pytest_plugins = ["tests.postgres", "tests.destinations.servers"]

Attach = Callable[[], Store]
Build = Callable[[pytest.FixtureRequest, Emulator], Store]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each check on each kind."""
    if "kind" in metafunc.fixturenames:
        check = metafunc.function.__name__.removeprefix("test_")
        assert check in CHECKS
        metafunc.parametrize("kind", [_with_limit(kind, check) for kind in KINDS])


def _with_limit(kind: str, check: str) -> Any:
    limit = LIMITS.get(kind, {}).get(check)
    marks = [pytest.mark.xfail(strict=True, reason=limit)] if limit else []
    if kind in OTHER_PLACES and check not in OF_THE_PLACE:
        marks.append(pytest.mark.long)
    return pytest.param(kind, marks=marks)


def _filesystem(url: str, table_format: Literal["delta", "iceberg"] | None, bucket: "Bucket | None" = None) -> Any:
    more: dict[str, Any] = {"preferred_table_format": table_format} if table_format else {}
    if bucket:
        more["credentials"] = dict(bucket.credentials)
    return dlt.destinations.filesystem(url, **more)


def _delta(request: pytest.FixtureRequest, api: Emulator) -> Store:
    bucket: Bucket = request.getfixturevalue("bucket")
    root = f"s3://{bucket.name}/lake"
    options = {name.upper(): value for name, value in bucket.credentials.items()}
    options |= {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": bucket.endpoint, "AWS_ALLOW_HTTP": "true"}
    return DeltaStore(api, _filesystem(root, "delta", bucket), root, options)


def _iceberg(request: pytest.FixtureRequest, api: Emulator) -> Store:
    bucket: Bucket = request.getfixturevalue("bucket")
    root = f"s3://{bucket.name}/lake"
    given = bucket.credentials
    properties = {
        "s3.endpoint": bucket.endpoint,
        "s3.access-key-id": given["aws_access_key_id"],
        "s3.secret-access-key": given["aws_secret_access_key"],
        "s3.region": given["region_name"],
    }
    return IcebergStore(api, _filesystem(root, "iceberg", bucket), root, bucket.files, properties)


def _parquet_in_bucket(request: pytest.FixtureRequest, api: Emulator) -> Store:
    bucket: Bucket = request.getfixturevalue("bucket")
    _use_extensions(request)
    root = f"{bucket.name}/lake"
    return BucketStore(api, _filesystem(f"s3://{root}", None, bucket), root, bucket.files)


def _use_extensions(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("monkeypatch").setenv("HOME", str(request.getfixturevalue("extensions")))


def _ducklake(request: pytest.FixtureRequest, api: Emulator, catalog: str) -> Store:
    _use_extensions(request)
    credentials = DuckLakeCredentials("lake", catalog=catalog, storage=str(Path("lake.files").absolute()))
    return Store(api, dlt.destinations.ducklake(credentials))


def _mariadb(request: pytest.FixtureRequest, api: Emulator) -> Store:
    url = request.getfixturevalue("mariadb_database")
    return SqlalchemyStore(api, url, url, "toloka_data")


BUILD: Mapping[str, Build] = {
    "duckdb": lambda _, api: Store(api, dlt.destinations.duckdb("toloka.duckdb")),
    "postgres": lambda request, api: PostgresStore(api, request.getfixturevalue("postgres_database")),
    "ducklake": lambda request, api: _ducklake(request, api, f"sqlite:///{Path('catalog.sqlite').absolute()}"),
    "ducklake-postgres": lambda request, api: _ducklake(request, api, request.getfixturevalue("postgres_database")),
    "delta": lambda _, api: DeltaStore(api, _filesystem("lake", "delta")),
    "delta-s3": _delta,
    "iceberg": lambda _, api: IcebergStore(
        api, _filesystem("lake", "iceberg"), Path("lake").absolute().as_uri(), LocalFileSystem(), {}
    ),
    "iceberg-s3": _iceberg,
    "parquet": lambda _, api: ParquetStore(api, _filesystem("lake", None)),
    "parquet-s3": _parquet_in_bucket,
    "sqlite": lambda _, api: SqlalchemyStore(
        api, "sqlite:///warehouse.sqlite", "sqlite:///warehouse__toloka_data.sqlite", None
    ),
    "mariadb": _mariadb,
}
"""What attaches a pipeline to the test's own place, by the kind."""


@pytest.fixture(scope="session")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which DuckDB finds the extensions that were installed as packages, and fetches none."""
    home = tmp_path_factory.mktemp("home")
    ((platform,),) = duckdb.execute("PRAGMA platform").fetchall()
    target = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    target.mkdir(parents=True)
    for name in ("ducklake", "httpfs", "postgres_scanner", "sqlite_scanner"):
        package = Path(str(distribution(f"duckdb_extension_{name}").locate_file(f"duckdb_extension_{name}")))
        (found,) = package.rglob("*.duckdb_extension")
        (target / found.name).symlink_to(found)
    return home


@pytest.fixture
def attach(kind: str, request: pytest.FixtureRequest, api: Emulator) -> Attach:
    """Return what attaches a pipeline to the test's own place in a destination of this kind."""
    return lambda: BUILD[kind](request, api)


@pytest.fixture
def store(attach: Attach) -> Store:
    """Return a pipeline into the destination from an account with some history, of which nothing is loaded yet."""
    store = attach()
    fill(store.api.account, projects=60, trainings=45)
    return store
