"""The Toloka API on this machine: for demos, tests and CI, without an account or a network.

    with Emulator(Account.lifelike(projects=100)) as api:
        requests.get(f"{api.base_url}/projects", headers={"Authorization": "OAuth any"})

It serves the lists of projects and of trainings as the API documents them, with its checks and errors.
Needs the extra `emulator`. From a shell: `python -m toloka_source.emulator --port 8080`.
"""

from toloka_source.emulator.account import MISSING, Account
from toloka_source.emulator.clock import Clock
from toloka_source.emulator.faults import Fault
from toloka_source.emulator.server import Emulator, RecordedRequest

__all__ = ["MISSING", "Account", "Clock", "Emulator", "Fault", "RecordedRequest"]
