"""The processes that load windows."""

import atexit
from multiprocessing.process import BaseProcess
from time import sleep

import pytest
from pebble.common.process import stop_process

from toloka_source.backfills.engines import processes


def _end_slowly() -> None:
    atexit.register(sleep, 2)


def test_a_process_that_is_ending_is_told_to_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stop_when_it_ends(process: BaseProcess) -> None:
        sleep(0.5)  # its pipe is closed
        stop_process(process)

    monkeypatch.setattr("pebble.pool.process.stop_process", stop_when_it_ends)
    with processes() as submit:
        submit(_end_slowly).result()
    assert capfd.readouterr() == ("", "")
