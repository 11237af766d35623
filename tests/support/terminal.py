"""What a shell does to a process before its program begins: its terminal, and the signals that it ignores."""

from __future__ import annotations

import fcntl
import os
import signal
import termios


def take_terminal() -> None:
    """Read from the terminal that is written to, in a session of one's own that it controls."""
    os.setsid()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    os.dup2(1, 0)


def ignore_hang_ups() -> None:
    """Do what nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def disown() -> None:
    """Take the terminal, whose end is ignored."""
    take_terminal()
    ignore_hang_ups()
