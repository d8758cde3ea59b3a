"""The project's checks: `uvx nox` runs them all, `uvx nox -s tests` one of them."""

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True


def _install(session: nox.Session) -> None:
    session.run_install(
        "uv", "sync", "--quiet", env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}, external=True
    )


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


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure this project beside its rivals; arguments after `--` go to the benchmark."""
    _install(session)
    session.install("--quiet", "matplotlib>=3.10,<4")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session(default=False)
def long(session: nox.Session) -> None:
    """Run the model test on 5,000 histories and kill 500 runs; takes hours."""
    _install(session)
    session.run(
        "pytest", "tests/test_model.py", "tests/test_kill.py", env={"TOLOKA_HISTORIES": "5000", "TOLOKA_KILLS": "500"}
    )
