"""Ctrl-C and SIGTERM: the command ends within two seconds, whatever it waits for.

Both raise `KeyboardInterrupt` in the main thread, so that what is to be cleaned up is. That takes for ever where
another thread, or the library of a database, waits for an answer: the process is then ended as it is. The next run
heals that, as it does when a process is killed.
"""

import os
import signal
import sys
from contextlib import suppress
from threading import Lock, Thread, current_thread, main_thread
from time import sleep
from types import FrameType, TracebackType
from typing import Self

from toloka_source.log_lines import current

_SECONDS = 1.5
"""How long the main thread may take to clean up."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is entered, both signals interrupt; once one has come, the process ends soon after, whatever it does."""

    def __init__(self, text: str) -> None:
        """Take what to say when a signal comes."""
        self._text = text
        self._number = 0
        self._is_said = Lock()
        self._given: dict[signal.Signals, object] = {}
        self._given_wakeup = self._wakeup = -1

    def __enter__(self) -> Self:
        """Take over the signals, except those that whoever started the process wants to be ignored."""
        if current_thread() is main_thread():
            self._given = {one: signal.getsignal(one) for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN}
            for one in self._given:
                signal.signal(one, self._raise)
            wakes, self._wakeup = os.pipe()
            os.set_blocking(self._wakeup, False)
            # a handler waits until the main thread is back from a library; what is written here comes at once
            self._given_wakeup = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            Thread(target=self._watch, args=(wakes,), name="toloka-interruption", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back, unless one has come: the process is about to end."""
        if self._given and not self._number:
            for one, handler in self._given.items():
                signal.signal(one, handler)  # type: ignore[arg-type] # what getsignal has returned
            signal.set_wakeup_fd(self._given_wakeup)
            os.close(self._wakeup)

    @property
    def has_come(self) -> bool:
        """Whether a signal has come, whatever became of the `KeyboardInterrupt` that it raised."""
        return bool(self._number)

    def end(self) -> int:
        """Say once that the command was interrupted; return the exit code."""
        if self._is_said.acquire(blocking=False):
            # in a terminal, a bar may still be on the line, and has hidden the cursor
            before = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
            with suppress(OSError):
                os.write(2, f"{before}{current().line('error', self._text)}\n".encode())
        if self._number and current_thread() is main_thread():
            os._exit(128 + self._number)  # a library that ran Python when it came would have it end by the signal
        return 128 + (self._number or signal.SIGINT)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        for one in self._given:
            signal.signal(one, signal.SIG_IGN)  # cleaning up isn't to be interrupted
        raise KeyboardInterrupt

    def _watch(self, wakes: int) -> None:
        with os.fdopen(wakes, "rb", buffering=0) as signals:
            while (number := signals.read(1)) and number[0] not in self._given:
                pass
        if number:
            self._number = number[0]
            sleep(_SECONDS)
            self._leave()

    def _leave(self) -> None:
        """End the process at once, and those that it has started."""
        if (processes := sys.modules.get("multiprocessing")) is not None:
            for process in processes.active_children():
                process.kill()
        os._exit(self.end())
