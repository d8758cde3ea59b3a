"""What differs from Superset's own defaults; Superset finds this file by its name."""
# mypy: disable-error-code="import-not-found,untyped-decorator"
# Superset has an environment of its own

import fcntl
import logging
import os
import shutil
import time
from pathlib import Path
from threading import Lock
from typing import Any

from duckdb_engine import Dialect
from sqlalchemy import event

LOG_LEVEL = logging.WARNING

# Superset's own policy, less the addresses that aren't on this machine: its pages count visits at one of them
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}

COPIES = Path(os.environ["SUPERSET_HOME"])
"""The folder for the copy of a DuckDB file; start.py sets it."""

TURNS = Lock()


@event.listens_for(Dialect, "do_connect")
def connect(dialect: Any, _record: object, place: list[Any], options: dict[str, Any]) -> object:  # noqa: ANN401
    """Open a copy of the DuckDB file: whoever reads the file itself and a load are in each other's way."""
    with TURNS:
        return dialect.connect(*place, **{**options, "database": str(_copy(Path(options["database"])))})


def _copy(file: Path) -> Path:
    """Return a copy of what the last load left; while one is at work, the copy from before it."""
    while True:
        state = file.stat()
        copy = COPIES / f"{state.st_mtime_ns}-{state.st_size}.duckdb"
        if copy.exists():
            return copy
        if Path(f"{file}.wal").exists() and not _is_loaded_into(file):
            return file  # a load was killed: DuckDB itself has to put the two files together
        old = list(COPIES.glob("*.duckdb"))
        part = Path(shutil.copyfile(file, COPIES / "part"))
        if not _is_loaded_into(file) and file.stat().st_mtime_ns == state.st_mtime_ns:
            for path in old:
                path.unlink()
            return part.rename(copy)
        if old:
            return old[0]
        time.sleep(0.1)


def _is_loaded_into(file: Path) -> bool:
    """Tell whether a process has the file open for writing."""
    with file.open("rb") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
