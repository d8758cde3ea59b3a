"""Debian's Redis for these tests alone: on 127.0.0.1, with a password, and what it was ever told in a file."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import redis

from tests.live.waiting import wait_for
from tests.postgres import START_SECONDS, free_port


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a server that keeps its files in a folder; yield its URL, which holds its password.

    Raises:
        TimeoutError: It doesn't start.
    """
    program = shutil.which("redis-server")
    assert program, "apt-get install redis-server"
    port, password = free_port(), token_hex()
    settings = ("bind 127.0.0.1", f"port {port}", f"requirepass {password}", f"dir {folder}", 'save ""')
    config = "\n".join((*settings, "appendonly yes", "appendfsync no"))
    with (folder / "log").open("wb") as log:
        # from stdin: what is on the command line, everybody sees
        server = subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    assert server.stdin
    server.stdin.write(config.encode())
    server.stdin.close()
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    try:
        wait_for(lambda: is_up(url), START_SECONDS)
        yield url
    finally:
        server.kill()
        server.wait()


def is_up(url: str) -> bool:
    """Tell whether the server answers."""
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def ever_written(folder: Path) -> str:
    """Return all that was ever written into the server; what Celery sends in Base64 once more in plain text."""
    written = b"".join(path.read_bytes() for path in (folder / "appendonlydir").iterdir())
    bodies = re.findall(rb'"body": "([A-Za-z0-9+/=]+)"', written)
    return b"\n".join((written, *map(base64.b64decode, bodies))).decode(errors="replace")
