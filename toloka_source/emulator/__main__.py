"""The command: `python -m toloka_source.emulator --port 8080`, which is `toloka-source emulator`."""

import random
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING

from rich_argparse import RichHelpFormatter

if TYPE_CHECKING:
    from toloka_source.emulator.account import Account
    from toloka_source.emulator.server import Emulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = ArgumentParser(
        prog="python -m toloka_source.emulator",
        description="The Toloka API on this machine.",
        parents=[emulator_options()],
        formatter_class=RichHelpFormatter,
    )
    return serve(parser.parse_args(arguments))


def emulator_options() -> ArgumentParser:
    """Return the options of the command."""
    parser = ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--port", type=int, default=8080, help="0 for any free one (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--allow-remote", action="store_true", help="allow a host others can reach")
    add("--projects", type=_count, default=1000, help="default: %(default)s")
    add("--trainings", type=_count, help="default: three for every four projects")
    add("--all-lists", action="store_true", help="fill the other lists too, such as pools and skills")
    add("--seed", type=int, default=0, help="another number, other objects")
    add("--latency", type=_count, default=0, metavar="MS", help="wait before each answer")
    add(
        "--rate-limit",
        type=_positive,
        metavar="N",
        help="requests a second that are let in; the API's own is 300",
    )
    add("--token", action="append", help="accept only this one (default: any); may be repeated")
    add("--activity", type=_seconds, metavar="SECONDS", help="change something so often")
    return parser


def serve(options: Namespace) -> int:
    """Serve a lifelike account until Ctrl-C or SIGTERM; return the exit code, which is 130 or 143 then."""
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        return _fail("error: the emulator needs the extra emulator: pip install 'toloka-source[emulator]'", 2)
    from toloka_source.emulator.account import Account  # noqa: PLC0415 - `--help` is there at once, without the extra
    from toloka_source.emulator.server import Emulator  # noqa: PLC0415

    account = Account.lifelike(options.projects, options.trainings, options.seed, others=options.all_lists)
    stop, came = threading.Event(), [0]

    def end(number: int, _frame: FrameType | None) -> None:
        came[0] = number
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        emulator = Emulator(
            account,
            host=options.host,
            port=options.port,
            tokens=options.token,
            latency=options.latency / 1000,
            allow_remote=options.allow_remote,
            rate_limit=options.rate_limit,
        )
        emulator.start()
    except (OSError, OverflowError, ValueError) as error:
        return _fail(f"Can't listen on {options.host}:{options.port}: {error}", 1)
    _introduce(emulator, options.token[0] if options.token else "any")
    rng = random.Random(options.seed)  # noqa: S311 - made-up activity, not a secret
    while not stop.wait(options.activity):
        _live(account, rng, everywhere=options.all_lists)
    emulator.stop()
    return 128 + came[0]


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


def _introduce(emulator: "Emulator", token: str) -> None:
    from toloka_source.catalog import ENDPOINTS  # noqa: PLC0415 - `--help` is there at once

    counts = {name: len(emulator.account.ids(name)) for name in ENDPOINTS}
    has = [f"{counts[name]} {one.nouns[1]}" for name, one in ENDPOINTS.items() if counts[name] or one.is_default]
    sys.stdout.write(
        f"Toloka API at {emulator.base_url}\n"
        f"{', '.join(has)}\n"
        f"Try: curl -H 'Authorization: OAuth {token}' '{emulator.base_url}/projects?limit=2'\n"
    )
    sys.stdout.flush()


def _count(text: str) -> int:
    if (count := int(text)) >= 0:
        return count
    raise ValueError


def _positive(text: str) -> int:
    if (count := int(text)) > 0:
        return count
    raise ValueError


def _seconds(text: str) -> float:
    if (seconds := float(text)) > 0:
        return seconds
    raise ValueError


def _live(account: "Account", rng: random.Random, *, everywhere: bool) -> None:
    """Let one thing happen, in the lists of projects and trainings or everywhere."""
    project = rng.choice(account.ids("projects") or [account.create_project()["id"]])
    training = rng.choice(account.ids("trainings") or [account.create_training(project)["id"]])
    deeds: list[Callable[[], object]] = [
        account.create_project,
        lambda: account.create_training(project),
        lambda: account.start_training(training),
        lambda: account.close_training(training),
    ]
    rng.choice(deeds + (_deeds_elsewhere(account, rng) if everywhere else []))()


def _deeds_elsewhere(account: "Account", rng: random.Random) -> list[Callable[[], object]]:
    def some(resource: str) -> str:
        return rng.choice(account.ids(resource) or [str(account.create(resource)["id"])])

    def set_skill() -> None:
        held = account.get("user_skills", some("user_skills"))
        account.set_user_skill(held["user_id"], held["skill_id"], rng.randrange(101))

    def operate() -> None:
        operation = account.run_operation(account.create("operations")["id"])
        account.finish_operation(operation["id"], rng.choice(["SUCCESS", "FAIL"]))

    return [
        lambda: account.create("pools"),
        lambda: account.open_pool(some("pools")),
        lambda: account.close_pool(some("pools")),
        lambda: account.create("user_bonuses"),
        lambda: account.create("user_restrictions"),
        lambda: account.delete("user_restrictions", some("user_restrictions")),
        lambda: account.edit_skill(some("skills"), private_comment="seen"),
        lambda: account.create("message_threads"),
        lambda: account.reply_to_thread(some("message_threads"), "Thank you"),
        set_skill,
        operate,
    ]


if __name__ == "__main__":
    sys.exit(main())
