"""How much of the API's limit of requests a second workers with one token use, and how evenly: `--help`.

Each worker is a process with a client of its own and knows nothing of the others, as on machines of their own.
"""

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from toloka_source.api.client import Client

START_SECONDS = 8
"""How long the processes may take to start, so that all begin in the same moment."""


@dataclass(frozen=True)
class Share:
    """What a worker got.

    Attributes:
        granted: Its requests that were answered with a page.
        sent: All of them.
    """

    granted: int
    sent: int


@contextmanager
def limited(limit: int, latency: int) -> Iterator[str]:
    """Serve the API with a limit, in a process of its own; the value is its address."""
    command = [sys.executable, "-m", "toloka_source.emulator", "--port", "0", "--projects", "3"]
    command += ["--rate-limit", str(limit), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def work(url: str, threads: int, begin: float, seconds: float) -> Share:
    """Ask for pages for so long, by so many threads; any error that isn't waited out is raised."""
    logging.disable(logging.CRITICAL)
    time.sleep(max(begin - time.time(), 0))
    with Client(url, "token", connections=threads) as client, ThreadPoolExecutor(threads) as pool:

        def ask(_number: int) -> int:
            granted = 0
            while time.time() < begin + seconds:
                client.get_page("projects", {"limit": "300"})
                granted += 1
            return granted

        return Share(sum(pool.map(ask, range(threads))), client.requests)


def measure(workers: int, threads: int, limit: int, latency: int, seconds: float) -> list[Share]:
    """Let workers ask side by side.

    Args:
        workers: How many processes.
        threads: How many requests each sends at once.
        limit: How many requests of all are granted in a second.
        latency: Milliseconds that the API takes for each.
        seconds: How long.
    """
    with limited(limit, latency) as url, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        begin = time.time() + START_SECONDS
        return list(pool.map(work, *zip(*[(url, threads, begin, seconds)] * workers, strict=True)))


def main() -> None:
    """Print a line of a table for each latency."""
    parser = argparse.ArgumentParser(description="Measure how workers with one token share the API's limit.")
    add = parser.add_argument
    add("--workers", type=int, default=8)
    add("--threads", type=int, default=8, help="requests at once of each worker (default: 8)")
    add("--limit", type=int, default=300, help="requests a second that the API grants (default: 300)")
    add("--latency", type=int, nargs="+", default=[50, 200], metavar="MS")
    add("--seconds", type=float, default=60)
    options = parser.parse_args()
    sys.stdout.write("| latency | requests granted a second | of the limit | refused | least and most of a worker |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for latency in options.latency:
        shares = measure(options.workers, options.threads, options.limit, latency, options.seconds)
        granted = sum(share.granted for share in shares)
        a_second, each = granted / options.seconds, [share.granted / options.seconds for share in shares]
        refused = 1 - granted / sum(share.sent for share in shares)
        sys.stdout.write(
            f"| {latency} ms | {a_second:.0f} | {a_second / options.limit:.0%} | {refused:.0%} "
            f"| {min(each):.0f} and {max(each):.0f} a second |\n"
        )


if __name__ == "__main__":
    main()
