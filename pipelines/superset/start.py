"""Show a warehouse in Superset, on this machine alone.

    python pipelines/superset/start.py --folder DIR toloka.duckdb
    python pipelines/superset/start.py --folder DIR postgresql://user@host/database

PostgreSQL's password is taken from PGPASSWORD or ~/.pgpass, or asked for: everybody on the machine can read a command
line.

Superset has an environment of its own, see requirements.txt. It keeps its metadata and its key in the folder.
"""
# mypy: disable-error-code="import-not-found"

import argparse
import getpass
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Collection
from contextlib import closing, redirect_stderr, redirect_stdout
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import yaml  # type: ignore[import-untyped]

BUNDLE = Path(__file__).parent / "bundle"


def main() -> None:
    """Make the dashboard, or update it, and serve it until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Show a warehouse in Superset, on this machine alone.")
    parser.add_argument("warehouse", help="a DuckDB file, or a postgresql:// address without a password")
    parser.add_argument("--folder", type=Path, required=True, help="where Superset keeps what is its own")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="what it shows (default: %(default)s)")
    options = parser.parse_args()
    uri, name = _connection(options.warehouse)
    # a metadata database for each warehouse: the bundle is in it once
    folder = options.folder.absolute() / hashlib.sha256(name.encode()).hexdigest()[:8]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    print(f"Superset gets ready for {name}, which takes up to a minute the first time", flush=True)
    # what Superset says is for the log, and an error of ours for the terminal
    with (folder / "log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        os.environ["TZ"] = "UTC"  # DuckDB's months begin where it says, from when it is imported
        views = _views(uri)
        app = _superset(folder)
        _import(app, options.bundle, uri, views)
        _serve(app, _login(app))


def _connection(warehouse: str) -> tuple[str, str]:
    """Return the URI of connections that only read and whose times are UTC, and a name; neither has a password."""
    path = Path(warehouse).absolute()
    if path.is_file():
        return f"duckdb:///{quote(str(path))}?access_mode=read_only", str(path)
    if not warehouse.startswith(("postgresql://", "postgres://")):
        # what was meant as an address may have a password in it
        named = "" if set(warehouse) & set(":@=") else f" {path}"
        sys.exit(f"error: no file{named}, and no postgresql:// address")
    try:
        parts = urlsplit(warehouse)
        name = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    except ValueError:
        sys.exit("error: the address can't be read; write postgresql://user@host:5432/database")
    given = dict(parse_qsl(parts.query))
    if parts.password is not None or "password" in given or "@" in name:
        sys.exit("error: leave the password out of the address: PGPASSWORD and ~/.pgpass hold, or it is asked for")
    settings = "-c TimeZone=UTC -c default_transaction_read_only=on"
    query = urlencode({**given, "options": settings}, quote_via=quote)
    uri = parts._replace(scheme="postgresql", query=query).geturl()
    _connect(uri, name)
    return uri, name


def _connect(uri: str, name: str) -> None:
    """See whether PostgreSQL lets us in; ask for the password, for this process alone, if it wants one."""
    import psycopg2  # noqa: PLC0415 - not needed for DuckDB

    for may_ask in (sys.stdin.isatty(), False):
        try:
            with closing(psycopg2.connect(uri, connect_timeout=15)):
                return
        except psycopg2.OperationalError as error:
            if may_ask and "no password supplied" in str(error):
                os.environ["PGPASSWORD"] = getpass.getpass(f"Password for {name}: ")
            else:
                sys.exit(f"error: {' '.join(str(error).split())}")


def _superset(folder: Path) -> Any:  # noqa: ANN401 - Flask's app
    key = folder / "secret_key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
    os.environ |= {
        "SUPERSET_HOME": str(folder),
        "SUPERSET_SECRET_KEY": key.read_text(),
        "SCARF_ANALYTICS": "false",
    }
    ready, version = folder / "ready_for", metadata.version("apache-superset")
    is_ready = ready.exists() and ready.read_text() == version and (folder / "superset.db").exists()
    from superset.app import create_app  # noqa: PLC0415 - it reads these variables when it is imported

    app = create_app()  # which makes an empty database
    if not is_ready:  # this takes half of the time
        ready.unlink(missing_ok=True)  # a start that is ended in here has made no more than a part
        _run(app, "db", "upgrade")
        _run(app, "init")
        ready.write_text(version)
    return app


def _run(app: Any, *command: str) -> None:  # noqa: ANN401
    """Run one of Superset's own commands, in this process: to start one takes it many seconds."""
    from flask.cli import ScriptInfo  # noqa: PLC0415
    from superset.cli.main import superset  # noqa: PLC0415

    superset.main(command, standalone_mode=False, obj=ScriptInfo(create_app=lambda: app))


def _import(app: Any, bundle: Path, uri: str, views: Collection[str]) -> None:  # noqa: ANN401
    """Import the bundle, with the warehouse's address in it, and what shows these views."""
    with TemporaryDirectory() as folder:
        copy = shutil.copytree(bundle, Path(folder) / "bundle")
        (database,) = copy.glob("databases/*.yaml")
        lines = database.read_text().splitlines()
        lines = [f"sqlalchemy_uri: {json.dumps(uri)}" if line.startswith("sqlalchemy_uri:") else line for line in lines]
        database.write_text("\n".join(lines))
        _add_lists(copy, views)
        _run(app, "import-directory", "--overwrite", str(copy))


def _views(uri: str) -> list[str]:
    """Return the names of the warehouse's views that may be read."""
    from sqlalchemy import create_engine, text  # noqa: PLC0415 - comes with Superset
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    query = text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'toloka_bi'")
    try:
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            return [name for (name,) in connection.execute(query)]
    except DBAPIError as error:
        sys.exit(f"error: the warehouse can't be read: {' '.join(str(error.orig).split())}")


def _add_lists(bundle: Path, views: Collection[str]) -> None:
    """Add a tab of the lists that have a view; without any, the dashboard stays as it is."""
    folders = [folder for folder in (bundle / "lists").iterdir() if folder.name in views]
    if not folders:
        return
    for folder in folders:
        shutil.copytree(folder, bundle, dirs_exist_ok=True)
    charts = {yaml.safe_load(file.read_text())["uuid"] for file in bundle.glob("charts/*.yaml")}
    (file,) = bundle.glob("dashboards/*.yaml")
    dashboard = yaml.safe_load(file.read_text())
    position, tab = dashboard["position"], yaml.safe_load((bundle / "lists" / "tab.yaml").read_text())
    position |= {id_: part for id_, part in tab.items() if part["type"] != "CHART" or part["meta"]["uuid"] in charts}
    position["TAB-projects"]["children"] = position["GRID_ID"]["children"]
    position["GRID_ID"]["children"] = []
    position["ROOT_ID"]["children"] = ["TABS-lists"]
    _arrange(position, "ROOT_ID", [])
    file.write_text(yaml.safe_dump(dashboard))


def _arrange(position: dict[str, Any], id_: str, parents: list[str]) -> None:
    """Leave out children that aren't there and rows without any, and say of each part what it is in."""
    part = position[id_]
    part["parents"] = parents
    for child in part["children"]:
        if child in position:
            _arrange(position, child, [*parents, id_])
    part["children"] = [child for child in part["children"] if child in position]
    if part["type"] == "ROW" and not part["children"]:
        del position[id_]


def _login(app: Any) -> str:  # noqa: ANN401
    """Give the administrator, who is made the first time, a new password."""
    from superset.extensions import security_manager  # noqa: PLC0415

    password = secrets.token_urlsafe(12)
    with app.app_context():
        if user := security_manager.find_user("admin"):
            security_manager.reset_password(user.id, password)
        else:
            role = security_manager.find_role("Admin")
            security_manager.add_user("admin", "Toloka", "Admin", "admin@localhost", role, password)
    return password


def _serve(app: Any, password: str) -> None:  # noqa: ANN401
    from werkzeug.serving import make_server  # noqa: PLC0415

    with make_server("127.0.0.1", 0, app, threaded=True) as server:
        print(
            f"Dashboard: http://127.0.0.1:{server.port}/superset/dashboard/toloka/",
            f"Login: admin, password {password}",
            "Ctrl-C ends it",
            sep="\n",
            file=sys.__stdout__,
            flush=True,
        )
        server.serve_forever()


if __name__ == "__main__":
    main()
