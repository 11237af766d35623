"""Options of a SLURM job, with the user's defaults file under them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from harness.config import yaml_reader
from harness.config.validation import Checker
from harness.config.yaml_reader import Document
from harness.data.folders import expanded
from harness.errors import SuiteError, UsageError
from harness.home import user_folder
from harness.strict import Strict

MOST_NODES, MOST_CPUS, MOST_RANKS = 100_000, 4096, 1024
# What sbatch takes, and how a message says it.
MEMORY = (r"[0-9]{1,12}(?i:[KMGT]B?)?", "a size such as 32G, or a number of megabytes")
TIME_LIMIT = (
    r"[0-9]{1,8}(:[0-9]{1,8}){0,2}|[0-9]{1,6}-[0-9]{1,2}(:[0-9]{1,2}){0,2}|UNLIMITED|INFINITE",
    "minutes, such as 90, or H:MM:SS, such as 1:30:00",
)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_form(form: tuple[str, str]) -> AfterValidator:
    """Return a validator of text in one of the forms above."""

    def check(value: str) -> str:
        if not re.fullmatch(form[0], value):
            raise ValueError(f"{value!r}, expected {form[1]}")
        return value

    return AfterValidator(check)


Text = Annotated[str, BeforeValidator(_as_text)]


class SlurmOptions(Strict):
    """Options of one job by name; None, 0 and '' omit an option."""

    nodes: Annotated[int, Field(ge=1, le=MOST_NODES)] = 1
    gpus_per_node: Annotated[int, Field(ge=0, le=MOST_RANKS)] | None = None
    cpus_per_task: Annotated[int, Field(ge=1, le=MOST_CPUS)] | None = None
    nproc: Annotated[int, Field(ge=1, le=MOST_RANKS)] | None = None
    mem: Annotated[Text, _of_form(MEMORY)] | None = None
    time: Annotated[Text, _of_form(TIME_LIMIT)] | None = None
    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    constraint: Text | None = None
    mail_user: Text | None = None
    setup: str | None = None
    sbatch_arg: list[str] = Field(default_factory=list)

    @property
    def ranks(self) -> int:
        """Return how many ranks a job should have, as far as its options say."""
        return self.nodes * (self.nproc or self.gpus_per_node or self.cpus_per_task or 1)


class DefaultsFile(Strict):
    """Content of ~/.config/harness/slurm.yaml, a user's defaults of `submit`."""

    slurm: SlurmOptions


def defaults_path(env: Mapping[str, str]) -> Path | None:
    """Return the path of the user's defaults file; None if the user has no home folder."""
    try:
        return user_folder(env, "XDG_CONFIG_HOME", ".config") / "slurm.yaml"
    except RuntimeError:
        return None


def options(given: Mapping[str, Any], env: Mapping[str, str]) -> SlurmOptions:
    """Merge the given options, by name, over the user's defaults.

    Raise SuiteError with all mistakes of the defaults file, and UsageError if there is no setup file.
    """
    known = {key: given[key] for key in SlurmOptions.model_fields if given.get(key) is not None}
    if known.get("setup"):
        known["setup"] = str(Path(known["setup"]).absolute())
    path = defaults_path(env)
    own = _defaults(path) if path else {}
    known["sbatch_arg"] = [*own.get("sbatch_arg", []), *known.get("sbatch_arg", [])]
    merged = SlurmOptions.model_validate({**own, **known})
    if merged.setup and not Path(merged.setup).is_file():
        raise UsageError(f"--setup: found {merged.setup!r}, expected a file that the job can source")
    return merged


def _defaults(path: Path) -> dict[str, Any]:
    """Read a defaults file, if there is one; its `setup` is relative to its own folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SuiteError([f"{path}: cannot be read: {error}; expected YAML with the key `slurm:`"]) from None
    value, places = yaml_reader.parse(text, str(path))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SuiteError([f"{path}:1: found {value!r}, expected the key `slurm:` and options under it"])
    checker = Checker(Document(value, places), [])
    file = checker.check(DefaultsFile, value, [()])
    if file is None:
        raise SuiteError(checker.mistakes)
    own = file.slurm.model_dump(exclude_unset=True)
    if own.get("setup"):
        own["setup"] = str((path.parent / expanded(Path(own["setup"]), f"{path}: setup")).absolute())
    return own
