"""A user's code is called: what it raises, and what it changes of the process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.errors import DataError, HarnessError, ModelError, UsageError
from harness.user_code import calling, traceback_of

OWN = """\
import json

import torch


class Odd(BaseException):
    pass


class NoText(Exception):
    def __str__(self):
        raise ValueError("no text")


def key():
    return {}["logits"]


def deep():
    return deep()


def odd():
    raise Odd("found\\n   two lines")


def no_text():
    raise NoText(3)


def long_text():
    raise ValueError("x" * 1_000_000)


def half():
    raise ValueError("\\udcff")


def wrong_syntax():
    error = SyntaxError(3)
    error.filename, error.text = 5, 7
    if error:
        raise error


def leave():
    raise SystemExit("config missing")


def stop():
    raise StopIteration


def in_torch():
    return torch.nn.Linear(2, 3)(torch.zeros(5))


def in_json():
    return json.loads("{")


def chained():
    try:
        key()
    except KeyError as error:
        raise RuntimeError("no weights") from error
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_code.py").write_text(OWN, encoding="utf-8")
    import own_code  # type: ignore[import-not-found]

    yield own_code
    sys.modules.pop("own_code")


def message(call: Callable[[], object], error: type[HarnessError] = ModelError) -> str:
    with pytest.raises(error) as caught, calling("model 'own:net'", error):
        call()
    return str(caught.value)


def line_of(text: str) -> int:
    return OWN.splitlines().index(f"    {text}") + 1


@pytest.mark.parametrize(
    ("name", "expected", "line"),
    [
        ("key", "KeyError: 'logits'", 'return {}["logits"]'),
        ("odd", "Odd: found two lines", 'raise Odd("found\\n   two lines")'),
        ("no_text", "NoText: <own_code.NoText object at 0x", "raise NoText(3)"),
        ("half", r"ValueError: \udcff", 'raise ValueError("\\udcff")'),
        ("wrong_syntax", "SyntaxError: 3", "    raise error"),
        ("leave", "SystemExit: config missing", 'raise SystemExit("config missing")'),
        ("stop", "StopIteration", "raise StopIteration"),
        ("in_json", "JSONDecodeError: Expecting property name", 'return json.loads("{")'),
        ("chained", "RuntimeError: no weights", '    raise RuntimeError("no weights") from error'),
        (
            "in_torch",
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x5 and 2x3)",
            "return torch.nn.Linear(2, 3)(torch.zeros(5))",
        ),
    ],
)
def test_any_exception_names_the_line_in_the_users_file(
    own: ModuleType, name: str, expected: str, line: str
) -> None:
    found = message(getattr(own, name))
    assert found.startswith(f"model 'own:net': {expected}")
    assert found.endswith(f"(own_code.py, line {line_of(line)}, in {name})")
    assert "\n" not in found


def test_a_recursion_and_a_long_text_stay_short(own: ModuleType) -> None:
    assert "RecursionError: maximum recursion depth exceeded" in message(own.deep)
    assert len(message(own.long_text)) < 1000


@pytest.mark.parametrize(
    ("name", "last"),
    [("half", r"ValueError: \udcff"), ("wrong_syntax", "SyntaxError: 3"), ("long_text", "x" * 40_000)],
)
def test_any_traceback_can_be_written(own: ModuleType, name: str, last: str) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        getattr(own, name)()
    text = traceback_of(caught.value)
    assert text.encode()
    assert f", in {name}\n" in text
    assert last in text
    assert len(text) < 200_000


def test_a_file_elsewhere_is_named_whole(
    own: ModuleType, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert f"({Path(own.__file__ or '')}, line" in message(own.key)


def test_an_installed_package_of_the_users_is_named_and_not_what_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "lib" / "site-packages"
    (site / "their_nets").mkdir(parents=True)
    (site / "their_nets/__init__.py").write_text(
        "import helping\ndef net():\n    helping.fail()\n", encoding="utf-8"
    )
    (site / "helping.py").write_text("def fail():\n    raise OSError('gone')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    import their_nets  # type: ignore[import-not-found]

    path = site / "their_nets/__init__.py"
    assert message(their_nets.net).endswith(f"OSError: gone ({path}, line 3, in net)")


def test_a_syntax_error_has_the_line_of_the_mistake(own: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "broken_code.py").write_text("x = 1\nx =\n", encoding="utf-8")
    found = message(lambda: __import__("broken_code"), UsageError)
    assert found == "model 'own:net': SyntaxError: invalid syntax (broken_code.py, line 2)"


@pytest.mark.parametrize("passed", [DataError("wrong data"), KeyboardInterrupt(), GeneratorExit()])
def test_messages_of_the_harness_and_interrupts_pass(passed: BaseException) -> None:
    with pytest.raises(type(passed)) as caught, calling("model 'own:net'"):
        raise passed
    assert caught.value is passed
