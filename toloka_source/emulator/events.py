"""What happens in an account, in the API's terms."""

from typing import Any

from toloka_source.emulator.lifelike_people import skill_value
from toloka_source.emulator.lifelike_threads import REQUESTER, message
from toloka_source.emulator.lists import Lists


class Events(Lists):
    """The changes that set more than the fields they are given.

    What is created, edited or deleted and nothing more is so by `create`, `edit` and `delete`: a bonus or a restriction
    is given by `create`, and a Toloker's skill is removed and a restriction lifted by `delete`.
    """

    def create_project(self, **fields: object) -> dict[str, Any]:
        """Create a project now, with lifelike values for the fields not given."""
        return self.create("projects", **fields)

    def create_training(self, project_id: str, **fields: object) -> dict[str, Any]:
        """Create a training now, not started yet, with lifelike values for the fields not given."""
        return self.create("trainings", project_id=project_id, **fields)

    def start_training(self, id_: str) -> dict[str, Any]:
        """Open a training now, for the first time or again."""
        return self._open("trainings", id_)

    def close_training(self, id_: str, reason: str = "MANUAL") -> dict[str, Any]:
        """Close a training now."""
        return self._close("trainings", id_, reason)

    def archive_training(self, id_: str) -> dict[str, Any]:
        """Archive a training: nothing but its status tells."""
        return self.edit_training(id_, status="ARCHIVED")

    def archive_project(self, id_: str) -> dict[str, Any]:
        """Archive a project: nothing but its status tells."""
        return self.edit_project(id_, status="ARCHIVED")

    def edit_project(self, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of a project but its id."""
        return self.edit("projects", id_, **fields)

    def edit_training(self, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of a training but its id."""
        return self.edit("trainings", id_, **fields)

    def open_pool(self, id_: str) -> dict[str, Any]:
        """Open a pool now, for the first time or again."""
        return self._open("pools", id_)

    def close_pool(self, id_: str, reason: str = "MANUAL") -> dict[str, Any]:
        """Close a pool now."""
        return self._close("pools", id_, reason)

    def archive_pool(self, id_: str) -> dict[str, Any]:
        """Archive a pool: nothing but its status tells."""
        return self.edit("pools", id_, status="ARCHIVED")

    def edit_skill(self, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of a skill but its id, and note when, which the API is asked for and doesn't send."""
        return self.edit("skills", id_, **{"modified": self._stamp(), **fields})

    def set_user_skill(self, user_id: str, skill_id: str, value: float) -> dict[str, Any]:
        """Give a Toloker a skill now, or another value of it."""
        with self._lock:
            for held in self._found("user_skills", user_id=user_id, skill_id=skill_id):
                return self.edit("user_skills", held["id"], **skill_value(value), modified=self._stamp())
            return self.create("user_skills", user_id=user_id, skill_id=skill_id, **skill_value(value))

    def reply_to_thread(self, id_: str, text: str) -> dict[str, Any]:
        """Write a message in a thread now, as the requester: the thread's own times don't tell of it."""
        with self._lock:
            thread = self.get("message_threads", id_)
            messages = [message({"EN": text}, REQUESTER, self._now()), *thread.get("messages", [])]
            folders = [folder for folder in thread.get("folders", []) if folder not in ("UNREAD", "OUTBOX")]
            return self.edit("message_threads", id_, messages=messages, folders=[*folders, "OUTBOX"])

    def run_operation(self, id_: str) -> dict[str, Any]:
        """Begin now with an operation that waited, as those do that are created."""
        return self.edit("operations", id_, status="RUNNING", started=self._stamp(), progress=1)

    def finish_operation(self, id_: str, status: str = "SUCCESS") -> dict[str, Any]:
        """End an operation now, or let it "FAIL"."""
        progress = {"progress": 100} if status == "SUCCESS" else {}
        return self.edit("operations", id_, status=status, finished=self._stamp(), **progress)

    def _open(self, resource: str, id_: str) -> dict[str, Any]:
        return self.edit(resource, id_, status="OPEN", last_started=self._stamp())

    def _close(self, resource: str, id_: str, reason: str) -> dict[str, Any]:
        return self.edit(resource, id_, status="CLOSED", last_stopped=self._stamp(), last_close_reason=reason)
