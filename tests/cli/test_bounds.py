"""Every option that takes a number or a length of time has bounds, checked before anything else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.cli import bench, compare, scale, submit, train
from harness.cli.bounds import numbers_of, seconds_of
from harness.errors import UsageError
from tests.support.commands import call
from tests.support.fake_slurm import SUITE

TOO_MUCH = ("nan", "inf", "-inf", "-1", "1e300", "1" + "0" * 30, "1" + "0" * 5000, "", "1e400", "many")
COMMANDS: dict[str, tuple[Callable[..., None], list[str]]] = {
    "run": (train.run, ["suite.yaml"]),
    "bench": (bench.bench, ["suite.yaml"]),
    "scale": (scale.scale, ["suite.yaml"]),
    "drill": (train.drill, ["suite.yaml"]),
    "submit": (submit.submit, ["suite.yaml", "--dry-run"]),
    "compare": (compare.compare, ["a", "b"]),
}
TEXTS = {"--world", "--checkpoint-every", "--stale-after", "--time", "--mem"}


def options() -> Iterator[tuple[str, str]]:
    """Yield every command's options that take a number, or a text that is one with a unit."""
    for command, (function, _) in COMMANDS.items():
        for each in inspect.signature(function, eval_str=True).parameters.values():
            kind, *facts = get_args(each.annotation) or (None,)
            # typer takes an option's name for its default until it has seen the annotation.
            names = [fact.default for fact in facts if isinstance(fact.default, str)]
            is_number = kind in (int, float) or {int, float} & set(get_args(kind))
            if is_number or TEXTS & set(names):
                yield command, names[0]


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_an_option_is_refused_outside_its_bounds(
    command: str,
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    zero = [] if option in ("--gpus-per-node", "--max-restarts", "--time", "--mem") else ["0"]
    for value in [*TOO_MUCH, *zero]:
        code, out, err = call((command, *COMMANDS[command][1], f"{option}={value}"), monkeypatch, capsys)
        assert (code, out) == (2, ""), value[:40]
        assert err.startswith(f"error: {option}"), err
        assert err.count("\n") == 1
        assert "expected" in err
        assert len(err) < 250
    assert [path.name for path in tmp_path.iterdir()] == ["suite.yaml"]


def test_numbers_are_found_at_all() -> None:
    found = set(options())
    assert {
        ("run", "--timeout"),
        ("bench", "--seconds"),
        ("submit", "--array"),
        ("drill", "--epochs"),
        ("scale", "--world"),
    } < found
    assert {
        ("compare", "--margin-points"),
        ("submit", "--mem"),
        ("submit", "--stale-after"),
        ("scale", "--world"),
    } < found
    assert len(found) > 15


def test_the_environment_has_the_same_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_STALE_SECONDS", "inf")
    code, _, err = call(("run", "suite.yaml"), monkeypatch, capsys)
    assert code == 2
    assert err.startswith("error: --stale-after (or HARNESS_STALE_SECONDS): found 'inf', expected")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("0.5", 0.5)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert seconds_of("--stale-after", text) == seconds


@pytest.mark.parametrize("text", ["", "s", "h", "1d", "5 min", "nans", "infh", "1e308h", "-1h", "0", "9000h"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="expected a length of time such as 90s, 5m or 1h"):
        seconds_of("--stale-after", text)


@pytest.mark.parametrize(("text", "numbers"), [("4", [4]), ("8, 2,1,2", [1, 2, 8])])
def test_numbers_are_read_in_ascending_order(text: str, numbers: list[int]) -> None:
    assert numbers_of("--world", text, 1, 8) == numbers


@pytest.mark.parametrize("text", ["1,x", "2,,4", "1,9", "0", "1;2", "1.5"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(UsageError, match=r"--world: found '.*', expected whole numbers from 1 to 8, such as"):
        numbers_of("--world", text, 1, 8)


@pytest.mark.parametrize("value", ["90", "90:30", "1:30:00", "1-12", "1-12:30:00", "UNLIMITED", "0"])
def test_slurms_ways_to_say_a_time(
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code, out, err = call(("submit", "suite.yaml", "--dry-run", f"--time={value}"), monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert f"--time={value} " in out


def test_help_says_every_bound(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    texts: dict[str, Any] = {}
    for command, option in options():
        texts.setdefault(command, call((command, "--help"), monkeypatch, capsys)[1])
        said = texts[command].partition(f"{option} ")[2].partition("--")[0]
        assert option in ("--time", "--mem") or "[" in said, (command, option)
