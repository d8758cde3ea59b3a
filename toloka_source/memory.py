"""What makes a process of our own take less memory."""

import ctypes
import os
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
"""The C library's number of this setting, see mallopt(3)."""


def share_freed_memory() -> None:
    """Let all threads take what any of them has freed, here and in the processes that this one starts.

    Arrow and the C library keep it for the thread that freed it, and a load has many: a fifth of its peak. Settings in
    the environment stay. For a process that is ours, before Arrow is imported.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        os.environ["MALLOC_ARENA_MAX"] = "1"
        with suppress(AttributeError):  # a C library that has no such thing
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
