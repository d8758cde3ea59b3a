"""The command: `python -m toloka_source.emulator --port 8080`."""

import argparse
import random
import signal
import sys
import threading
from collections.abc import Sequence

from toloka_source.emulator.account import Account
from toloka_source.emulator.server import Emulator


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a lifelike account until Ctrl-C or SIGTERM."""
    options = _parser().parse_args(arguments)
    account = Account.lifelike(options.projects, options.trainings, options.seed)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        emulator = Emulator(
            account,
            host=options.host,
            port=options.port,
            tokens=options.token,
            latency=options.latency / 1000,
            allow_remote=options.allow_remote,
        )
        emulator.start()
    except (OSError, OverflowError, ValueError) as error:
        sys.exit(f"Can't listen on {options.host}:{options.port}: {error}")
    token = options.token[0] if options.token else "any"
    sys.stdout.write(
        f"Toloka API at {emulator.base_url}\n"
        f"{len(account.ids('projects'))} projects, {len(account.ids('trainings'))} trainings\n"
        f"Try: curl -H 'Authorization: OAuth {token}' '{emulator.base_url}/projects?limit=2'\n"
    )
    sys.stdout.flush()
    dice = random.Random(options.seed)  # noqa: S311 - made-up activity, not a secret
    while not stop.wait(options.activity):
        _live(account, dice)
    emulator.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toloka_source.emulator", description="The Toloka API on this machine."
    )
    parser.add_argument("--port", type=int, default=8080, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--allow-remote", action="store_true", help="allow a host others can reach")
    parser.add_argument("--projects", type=_count, default=1000, help="default: %(default)s")
    parser.add_argument("--trainings", type=_count, help="default: three for every four projects")
    parser.add_argument("--seed", type=int, default=0, help="another number, other objects")
    parser.add_argument("--latency", type=_count, default=0, metavar="MS", help="wait before each answer")
    parser.add_argument("--token", action="append", help="accept only this one (default: any); may be repeated")
    parser.add_argument("--activity", type=_seconds, metavar="SECONDS", help="change something so often")
    return parser


def _count(text: str) -> int:
    if (count := int(text)) >= 0:
        return count
    raise ValueError


def _seconds(text: str) -> float:
    if (seconds := float(text)) > 0:
        return seconds
    raise ValueError


def _live(account: Account, dice: random.Random) -> None:
    """Let the requester do one thing."""
    project = dice.choice(account.ids("projects") or [account.create_project()["id"]])
    training = dice.choice(account.ids("trainings") or [account.create_training(project)["id"]])
    dice.choice(
        (
            account.create_project,
            lambda: account.create_training(project),
            lambda: account.start_training(training),
            lambda: account.close_training(training),
        )
    )()


if __name__ == "__main__":
    main()
