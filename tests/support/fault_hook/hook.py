"""The hook in a process of a drill: the places where it can be told to kill, and what it logs."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.abc
import importlib.machinery
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.fault_hook.drill import ENV, Drill, Hit, Moment, Order, Place

HOLD_SECONDS = 20.0
_FILES: dict[Place, str] = {
    "record": r"seed-\d+-[0-9a-f]{8}\.json",
    "attempt": r"seed-\d+-[0-9a-f]{8}\.attempt-\d+\.json",
    "checkpoint": r"seed-\d+-[0-9a-f]{8}\.checkpoint-\d",
    "claim": r"seed-\d+-[0-9a-f]{8}\.claim-\d+",
}


def install() -> None:
    """Have the modules that write, evaluate and resume changed, at once or as soon as they are imported."""
    faulthandler.register(signal.SIGUSR1)
    hook = Hook(Drill(Path(os.environ[ENV])))
    patches = {
        "harness.results.atomic_files": hook.in_files,
        "harness.training.step": hook.in_step,
        "harness.training.checkpoint": hook.in_checkpoint,
    }
    for name in patches.keys() & sys.modules.keys():
        patches[name](sys.modules[name])
    sys.meta_path.insert(0, _Finder(patches))


@dataclass(frozen=True)
class Hook:
    """Changes modules of the harness, in this process only."""

    drill: Drill

    def in_files(self, module: Any) -> None:
        """Kill while a file is written."""
        write = module._whole

        @contextlib.contextmanager
        def whole(path: Path, content: bytes, *, durable: bool = True) -> Iterator[Path]:
            if re.fullmatch(_FILES["claim"], path.name):
                self.drill.meet()
            order = self._order_for(path)
            moment = order.moment if order else None
            self._strike(order, moment == "before", path.name)
            written = content[: len(content) // 2] if moment == "middle" else content
            with write(path, written, durable=durable) as temporary:
                self._strike(order, moment in {"middle", "whole"}, path.name)
                yield temporary
                self._strike(order, moment == "named", path.name)
            self._strike(order, moment == "after", path.name)

        module._whole = whole

    def in_step(self, module: Any) -> None:
        """Kill while a batch is evaluated."""
        evaluate = module.Step.evaluate

        def killed(step: Any, share: Any, part: str = "test") -> Any:
            order = self.drill.take("evaluate")
            moment: Moment | None = order.moment if order else None
            self._strike(order, moment == "before", "")
            loss = evaluate(step, share, part)
            self._strike(order, moment != "before", "")
            return loss

        module.Step.evaluate = killed

    def in_checkpoint(self, module: Any) -> None:
        """Log what is saved of a trial, and from where it goes on."""
        resume, save = module.Checkpoints.resume, module.Checkpoints.save

        def resumed(kept: Any, state: Any, world: Any, tell: Callable[[str], None]) -> None:
            files, trial = sum(path.exists() for path in kept.paths), _trial(kept.paths)
            resume(kept, state, world, tell)
            if world.is_rank_zero:
                others = self.drill.still_training(trial)
                self.drill.log(kind="resumed", trial=trial, files=files, place=state.place, others=others)

        def saved(kept: Any, state: Any) -> None:
            save(kept, state)
            self.drill.log(kind="saved", trial=_trial(kept.paths), place=state.place)

        module.Checkpoints.resume, module.Checkpoints.save = resumed, saved

    def _order_for(self, path: Path) -> Order | None:
        places = (place for place, pattern in _FILES.items() if re.fullmatch(pattern, path.name))
        return next(filter(None, map(self.drill.take, places)), None)

    def _strike(self, order: Order | None, is_now: bool, file: str) -> None:
        """Kill, if it is the moment; go on only where another rank alone was to be killed."""
        if order is None or not is_now:
            return
        me = os.getpid()
        launcher = self.drill.launcher(me)
        others = [pid for pid in self.drill.ranks(launcher) if pid != me]
        one = me if order.victim == "a rank" or not others else others[0]
        targets = self.drill.targets(order.victim, launcher, lambda _: one)
        self.drill.report(Hit(order, me, file, targets))
        self.drill.kill([pid for pid in targets if pid != me])
        if me in targets:
            os.kill(me, signal.SIGKILL)
        if launcher in targets:
            time.sleep(HOLD_SECONDS)  # still in the place when it finds out
            self.drill.log(kind="outlived", launcher=launcher)
            os._exit(1)


def _trial(paths: Sequence[Path]) -> str:
    return f"{paths[0].parent.name}/{paths[0].name.partition('.')[0]}"


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules to change where they are, and has each changed when it was executed."""

    def __init__(self, patches: Mapping[str, Callable[[Any], None]]) -> None:
        self.patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's own spec with a loader that changes it."""
        if fullname not in self.patches:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Loader(spec.loader, self.patches[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, patch: Callable[[Any], None]) -> None:
        self.loader, self.patch = loader, patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.patch(module)
