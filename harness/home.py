"""Home folders: the harness's own folders below a user's, and a home for processes that have none.

In a container under any user number, a process has neither a home folder nor a user's name.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # in the order of getpass.getuser()


def provide(env: MutableMapping[str, str]) -> None:
    """Set HOME and LOGNAME for all libraries if neither the environment nor the password database has them.

    The home is a private folder for temporary files. If there can be none, HOME stays unset.
    """
    known = _entry()
    if known is None and not any(env.get(name) for name in _NAMES):
        env["LOGNAME"] = f"user-{os.getuid()}"
    if "HOME" in env and not Path(env["HOME"]).is_absolute():
        del env["HOME"]  # empty, or relative to any folder: libraries then ask the password database
    if "HOME" not in env and known is None and (folder := _temporary()):
        env["HOME"] = str(folder)


def user_folder(env: Mapping[str, str], variable: str, folder: str) -> Path:
    """Return the harness's folder in the one that `variable` names, else in this `folder` of the user's home.

    A relative path in the variable is ignored, as the XDG specification says. Raise RuntimeError
    if there is no home folder either.
    """
    named = Path(env.get(variable, ""))
    if named.is_absolute():
        return named / "harness"
    home = Path(env.get("HOME", ""))
    return (home if home.is_absolute() else Path.home()) / folder / "harness"


def _entry() -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid())
    return None


def _temporary() -> Path | None:
    """Return the user's private folder for temporary files; None if it cannot be made, or is another's."""
    with contextlib.suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"harness-{os.getuid()}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
    return None
