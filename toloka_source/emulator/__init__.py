"""The Toloka API on this machine: for demos, tests and CI, without an account or a network.

    with Emulator(Account.lifelike(projects=100)) as api:
        requests.get(f"{api.base_url}/projects", headers={"Authorization": "OAuth any"})

It serves each list of the catalogue as the API documents it, with its checks and errors.
Needs the extra `emulator`. From a shell: `toloka-source emulator --port 8080`.

The names are imported when they are asked for: so the command's help is there at once, and without the extra.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_source.emulator.account import MISSING, Account
    from toloka_source.emulator.clock import Clock
    from toloka_source.emulator.faults import Fault
    from toloka_source.emulator.server import Emulator, RecordedRequest

__all__ = ["MISSING", "Account", "Clock", "Emulator", "Fault", "RecordedRequest"]

_PLACES = {
    "MISSING": "account",
    "Account": "account",
    "Clock": "clock",
    "Emulator": "server",
    "Fault": "faults",
    "RecordedRequest": "server",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        return value
