"""Processes without a home: no HOME, no entry in the password database."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

import pytest

from harness import home
from harness.data.folders import cache_folder, roots
from harness.errors import DataError
from harness.runner.launch import slurm_options


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a user whom nobody knows; return the folder for temporary files."""

    def unknown(_: int | str) -> pwd.struct_passwd:
        raise KeyError("uid not found")

    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("found", [None, "", "relative"])
def test_a_home_is_provided(nobody: Path, found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if found is not None:
        monkeypatch.setenv("HOME", found)
    home.provide(os.environ)
    folder = nobody / f"harness-{os.getuid()}"
    assert Path.home() == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder(os.environ) == folder / ".cache/harness"
    assert getpass.getuser() == f"user-{os.getuid()}"
    home.provide(os.environ)
    assert Path.home() == folder


def test_what_is_known_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"HOME": str(tmp_path), "USER": "me"}
    home.provide(env)
    assert env == {"HOME": str(tmp_path), "USER": "me"}
    env = {"HOME": ""}
    home.provide(env)
    assert "HOME" not in env


@pytest.mark.parametrize("kind", ["a file", "a link", "open to all", "no folder"])
def test_anothers_folder_is_not_trusted(nobody: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what is to be set, where a folder is needed at all."""
    folder = nobody / f"harness-{os.getuid()}"
    if kind == "a file":
        folder.touch()
    elif kind == "a link":
        folder.symlink_to(nobody)
    elif kind == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        monkeypatch.setattr("tempfile.tempdir", str(nobody / "none"))
    home.provide(os.environ)
    assert "HOME" not in os.environ
    with pytest.raises(DataError, match=r"home folder that is unknown here.*set HOME or XDG_CACHE_HOME"):
        cache_folder(os.environ)
    assert slurm_options.defaults_path(os.environ) is None


def test_a_home_of_nobody_is_said(nobody: Path) -> None:
    with pytest.raises(
        DataError, match="HARNESS_DATA: '~nobody-at-all/data' names a home folder that is unk"
    ):
        roots(None, {"HARNESS_DATA": "~nobody-at-all/data", "XDG_CACHE_HOME": str(nobody)})
