"""The project's checks: `uvx nox` runs them all, `uvx nox -s tests` one of them."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True


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


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code's style and format."""
    _install(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    _install(session)
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after `--` go to pytest."""
    _install(session)
    session.run("pytest", *session.posargs)


@nox.session
def airflow(session: nox.Session) -> None:
    """Run the DAGs in Airflow, in this process."""
    _install(session, "--extra", "airflow")
    # by their names: mypy leaves the folder out, see pyproject.toml
    session.run("mypy", "pipelines/airflow_dag.py", *map(str, Path("tests/airflow").glob("*.py")))
    session.run("pytest", "tests/airflow", *session.posargs)


@nox.session
def dagster(session: nox.Session) -> None:
    """Run the assets in Dagster, in this process."""
    _install(session, "--extra", "dagster")
    session.run("mypy", "pipelines/dagster_definitions.py", *map(str, Path("tests/dagster").glob("*.py")))
    session.run("pytest", "tests/dagster", *session.posargs)


@nox.session
def clients(session: nox.Session) -> None:
    """Read the views with the libraries of BI tools and notebooks; 350 MB, so no part of the other sessions."""
    _install(session)
    # duckdb-engine can't read a view's columns with SQLAlchemy 2.1
    session.install(
        "--quiet", "duckdb-engine>=0.17", "sqlalchemy>=2,<2.1", "adbc-driver-postgresql>=1.5", "pandas", "polars"
    )
    session.run("pytest", "tests/clients", *session.posargs)


@nox.session
def live(session: nox.Session) -> None:
    """Start a real Airflow and a real Dagster, let them run on schedule, and look at them in a browser."""
    environments = Path(session.virtualenv.location).parent
    _install(session, "--extra", "airflow", folder=str(environments / "live-airflow"))
    _install(session, "--extra", "dagster", "--group", "dagster-page", folder=str(environments / "live-dagster"))
    _install(session, "--group", "browser")
    session.run("pytest", "tests/live", *session.posargs, env={"TOLOKA_ENVIRONMENTS": str(environments)})


@nox.session
def bi(session: nox.Session) -> None:
    """Show warehouses in a real Superset, and compare every figure with the account."""
    _install(session, "--group", "browser")
    session.run("pytest", "tests/superset", *session.posargs, env={"TOLOKA_SUPERSET": _superset(session)})


@nox.session(default=False)
def dashboard(session: nox.Session) -> None:
    """Show `toloka.duckdb` in Superset, or a demo, or the file or postgresql:// address after `--`."""
    warehouse = session.posargs or [name for name in ("toloka.duckdb", "toloka_demo.duckdb") if Path(name).exists()][:1]
    if not warehouse:
        _install(session)
        session.run("python", "pipelines/toloka_pipeline.py", "--demo", "--progress", "off")
        warehouse = ["toloka_demo.duckdb"]
    command = [_superset(session), "pipelines/superset/start.py", "--folder=.nox/dashboards", *warehouse]
    session.run(*command, external=True, log=False)  # an address has a password in it


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure this project beside its rivals; arguments after `--` go to the benchmark."""
    _install(session)
    session.install("--quiet", "matplotlib>=3.10,<4")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session(default=False)
def long(session: nox.Session) -> None:
    """Run the model test on 5,000 histories, and kill runs at 500 moments and before each step on disk; takes hours."""
    _install(session)
    numbers = {"TOLOKA_HISTORIES": "5000", "TOLOKA_KILLS": "500", "TOLOKA_STEPS": "400"}
    session.run("pytest", "tests/loading/test_model.py", "tests/loading/test_kill.py", env=numbers)
