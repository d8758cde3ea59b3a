"""What happens in an account while a history of it is kept: half a year, at the end of which it is now."""

from datetime import UTC, datetime, timedelta
from random import Random

from toloka_source.emulator import Account, Clock

LOADED_ON = (0, 60, 105, 135, 160, 177, 190, 195, 198, 199)
"""The days on which it is loaded, which are more than the charts go back to."""

LEFT = timedelta(hours=5)
"""What is left of it for the tests, each load of which takes a minute."""


def account_of_old() -> Account:
    """Return a lifelike account as it was before the first of these days."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Account.lifelike(projects=300, others=True, clock=Clock(now - LEFT - timedelta(days=LOADED_ON[-1])))


def live(account: Account, days: int) -> None:
    """Let something happen: more of it on more days.

    Args:
        account: The account.
        days: How many have passed.
    """
    account.clock.advance(days=days)
    dice = Random(days * len(account.projects))  # noqa: S311 - no secret
    opened = [training["id"] for training in account.trainings if training["status"] == "OPEN"]
    closed = [training["id"] for training in account.trainings if training["status"] == "CLOSED"]
    active = [project["id"] for project in account.projects if project["status"] == "ACTIVE"]
    for id_ in dice.sample(opened, dice.randrange(min(days * 3, 25) + 1)):
        account.close_training(id_)
    for id_ in dice.sample(closed, dice.randrange(min(days * 2, 15) + 1)):
        account.start_training(id_)
    for id_ in dice.sample(active, min(days, 6) // 2):
        account.archive_project(id_)
    for _ in range(days):
        training = account.create_training(account.create_project()["id"])
        if dice.random() < 0.5:
            account.start_training(training["id"])
