"""The project's checks: `scripts/test` runs those that take minutes, `scripts/test --all` those tagged `all`.

`scripts/test -s tests` runs one of them; where uv is installed, `uvx nox` does the same.
"""

import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

AT_ONCE = ("-n", "auto", "--dist", "worksteal")
"""Tests share nothing, so each core runs some of them."""

COMPILED = "--compile-bytecode"
"""The tests start hundreds of processes that import dlt."""

CHROMIUM = ("chromium", "chromium fonts-dejavu-core")
MARIADB = ("mariadbd", "mariadb-server-core mariadb-client-core")
REDIS = ("redis-server", "redis-server")
"""Programs of Debian's, and the packages that have them."""

EXTENSIONS = "1.5.5"
"""The version of DuckDB for which the package index has extensions, so that nothing is fetched from elsewhere."""

WITH_SLOW = ("-m", "not long")
"""Runs the tests marked `slow` too, which pyproject.toml leaves out."""


def _install(session: nox.Session, *options: str, folder: str | None = None) -> None:
    environment = {"UV_PROJECT_ENVIRONMENT": folder or session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", *options, env=environment, external=True)


def _superset(session: nox.Session) -> str:
    """Make an environment for Superset, which can't live with this project's packages; return its Python."""
    folder = Path(session.virtualenv.location).parent / "superset"
    python = str(folder / "bin" / "python")
    make = ["uv", "venv", "--quiet", "--allow-existing", "--python=>=3.11,<3.13", str(folder)]
    fill = ["uv", "pip", "install", "--quiet", "--python", python, "-r", "pipelines/superset/requirements.txt"]
    session.run_install(*make, external=True)
    session.run_install(*fill, external=True)
    return python


def _debian(session: nox.Session, program: str, packages: str) -> None:
    """Have a program of Debian's, which root can install."""
    if shutil.which(program):
        return
    install = f"apt-get install --yes --no-install-recommends {packages}"
    if os.geteuid() != 0:
        session.error(f"{program} is missing: {install}")
    session.run_install("apt-get", "update", "-qq", external=True)
    session.run_install(*install.split(), "-qq", external=True, env={"DEBIAN_FRONTEND": "noninteractive"})


@nox.session(tags=["all"])
def lint(session: nox.Session) -> None:
    """Check the code's style and format and the imports, and build the site."""
    _install(session)
    for command in ("ruff check", "ruff format --check", "lint-imports"):
        session.run(*command.split())
    site = ("--quiet", "--site-dir", session.create_tmp())
    session.run("mkdocs", "build", "--strict", *site, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(tags=["all"])
def types(session: nox.Session) -> None:
    """Check the types."""
    _install(session)
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that take minutes; arguments after `--` go to pytest."""
    _install(session, COMPILED)
    session.run("pytest", *AT_ONCE, *session.posargs)


@nox.session(tags=["all"])
def full(session: nox.Session) -> None:
    """Run the same tests, the slow ones and more examples too."""
    _install(session, COMPILED)
    session.run("pytest", *AT_ONCE, *WITH_SLOW, *session.posargs, env={"TOLOKA_AMOUNT": "full"})


@nox.session(tags=["all"])
def airflow(session: nox.Session) -> None:
    """Run the DAGs in Airflow, in this process."""
    _install(session, COMPILED, "--extra", "airflow")
    # by their names: mypy leaves the folder out, see pyproject.toml
    session.run("mypy", "pipelines/airflow_dag.py", *map(str, Path("tests/airflow").glob("*.py")))
    session.run("pytest", *AT_ONCE, "tests/airflow", *session.posargs)


@nox.session(tags=["all"])
def dagster(session: nox.Session) -> None:
    """Run the assets in Dagster, in this process."""
    _install(session, COMPILED, "--extra", "dagster")
    session.run("mypy", "pipelines/dagster_definitions.py", *map(str, Path("tests/dagster").glob("*.py")))
    session.run("pytest", *AT_ONCE, "tests/dagster", *session.posargs)


@nox.session(tags=["all"])
def clients(session: nox.Session) -> None:
    """Read the views with the libraries of BI tools and notebooks, and with dbt; 400 MB, so no part of the others."""
    _install(session, COMPILED)
    # duckdb-engine can't read a view's columns with SQLAlchemy 2.1
    session.install(
        "--quiet", "duckdb-engine>=0.17", "sqlalchemy>=2,<2.1", "adbc-driver-postgresql>=1.5", "pandas", "polars"
    )
    session.install("--quiet", "dbt-duckdb>=1.10", "dbt-core>=1.10,<1.12")
    session.run("pytest", "tests/clients", *session.posargs)


@nox.session(tags=["all"])
def live(session: nox.Session) -> None:
    """Start a real Airflow and a real Dagster, let them run on schedule, and look at them in a browser."""
    environments = Path(session.virtualenv.location).parent
    _install(session, COMPILED, "--extra", "airflow", folder=str(environments / "live-airflow"))
    _install(
        session, COMPILED, "--extra", "dagster", "--group", "dagster-page", folder=str(environments / "live-dagster")
    )
    _install(session, COMPILED, "--group", "browser")
    _debian(session, *CHROMIUM)
    session.run("pytest", "tests/live", *session.posargs, env={"TOLOKA_ENVIRONMENTS": str(environments)})


@nox.session(tags=["all"])
def celery(session: nox.Session) -> None:
    """Start a real Airflow with two Celery workers, and kill one of them in a back-fill."""
    _install(session, COMPILED, "--extra", "airflow", "--group", "airflow-workers")
    _debian(session, *REDIS)
    session.run("pytest", "tests/celery", *session.posargs)


@nox.session(tags=["all"])
def dagster_celery(session: nox.Session) -> None:
    """Start a real Dagster with two Celery workers, and kill one of them in a back-fill."""
    _install(session, COMPILED, "--extra", "dagster", "--group", "dagster-page", "--group", "dagster-workers")
    _debian(session, *REDIS)
    session.run("mypy", "pipelines/dagster_celery_launcher.py")
    session.run("pytest", "tests/dagster_celery", *session.posargs)


@nox.session(tags=["all"])
def superset(session: nox.Session) -> None:
    """Show warehouses in a real Superset, and compare every figure with the account."""
    _install(session, COMPILED, "--group", "browser")
    _debian(session, *CHROMIUM)
    session.run("pytest", "tests/superset", *session.posargs, env={"TOLOKA_SUPERSET": _superset(session)})


@nox.session(tags=["all"])
def destinations(session: nox.Session) -> None:
    """Run loads into each kind of destination: databases, files in folders and buckets, DuckLake."""
    _install(session, COMPILED, "--extra", "pyiceberg")
    names = ("ducklake", "httpfs", "postgres-scanner", "sqlite-scanner")
    extensions = (f"duckdb-extension-{name}=={EXTENSIONS}" for name in names)
    session.install(
        "--quiet", f"duckdb=={EXTENSIONS}", *extensions, "dlt[s3,sqlalchemy]", "moto[server]>=5.1", "pymysql>=1.1"
    )
    _debian(session, *MARIADB)
    session.run("pytest", *AT_ONCE, "tests/destinations", *session.posargs)


@nox.session(python=["3.12", "3.13", "3.14"])
def versions(session: nox.Session) -> None:
    """Run the tests that take minutes on other versions of Python."""
    _install(session, COMPILED, "--python", session.virtualenv.location)
    session.run("pytest", *AT_ONCE, *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests that take minutes with the lowest versions that pyproject.toml allows."""
    session.install("--quiet", COMPILED, "--resolution", "lowest-direct", "--group", "dev")
    session.run("pytest", *AT_ONCE, *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("version", ["1.4", "1.5", "2.0"])
def duckdb(session: nox.Session, version: str) -> None:
    """Run the tests of loads, tables and views on other versions of DuckDB."""
    _install(session, COMPILED, "--python", session.virtualenv.location)
    session.install("--quiet", f"duckdb=={version}.*")
    session.run("pytest", *AT_ONCE, "tests/loading", "tests/tables", "tests/bi", *session.posargs)
    session.run("pytest", *WITH_SLOW, "tests/loading/test_older_duckdb.py", *session.posargs)


@nox.session
def dashboard(session: nox.Session) -> None:
    """Show `toloka.duckdb` in Superset, or a demo, or the file or postgresql:// address after `--`."""
    warehouse = session.posargs or [name for name in ("toloka.duckdb", "toloka_demo.duckdb") if Path(name).exists()][:1]
    if not warehouse:
        _install(session)
        session.run("python", "pipelines/toloka_pipeline.py", "--demo", "--progress", "off")
        warehouse = ["toloka_demo.duckdb"]
    command = [_superset(session), "pipelines/superset/start.py", "--folder=.nox/dashboards", *warehouse]
    session.run(*command, external=True, log=False)  # a mistyped address may have a password in it


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this project beside its rivals; arguments after `--` go to the benchmark."""
    _install(session)
    session.install("--quiet", "matplotlib>=3.10,<4")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """Run the tests in every combination, on thousands of histories and kills: a night, or what `--` names."""
    _install(session, COMPILED)
    session.run("pytest", *AT_ONCE, "-m", "", *session.posargs, env={"TOLOKA_AMOUNT": "long"})
