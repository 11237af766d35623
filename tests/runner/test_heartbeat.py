"""Tests of a rank's restart in place."""

from __future__ import annotations

import os

from harness.runner import heartbeat


def test_files_stay_open_until_exec_closes_them() -> None:
    # gloo's thread waits on its own files until then: closed earlier, it ended the process now and then.
    read, write = os.pipe()
    for file in (read, write):
        os.set_inheritable(file, True)
    heartbeat._close_files_at_exec()
    os.write(write, b"open")
    assert os.read(read, 4) == b"open"
    assert not os.get_inheritable(read)
    assert not os.get_inheritable(write)
    assert os.get_inheritable(1) or os.get_inheritable(2)
    os.close(read)
    os.close(write)
