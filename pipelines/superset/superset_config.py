"""What differs from Superset's own defaults; Superset finds this file by its name."""
# mypy: disable-error-code="import-not-found,untyped-decorator"
# Superset has an environment of its own

import logging
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


@event.listens_for(Dialect, "do_connect")
def connect(dialect: Any, _record: object, _place: object, options: dict[str, Any]) -> object:  # noqa: ANN401
    """Open a DuckDB file that is only read beside an empty database of each connection's own.

    A process opens a file once: while one connection were open, others would see what it sees, whatever is loaded.
    """
    if options["url_config"].get("access_mode") != "read_only":
        return None  # as it would without this
    file = options["database"].replace("'", "''")
    connection = dialect.connect(database=":memory:")
    connection.execute(f"ATTACH '{file}' AS warehouse (READ_ONLY)")
    connection.execute("USE warehouse")
    connection.execute("SET enable_external_access = false")
    return connection
