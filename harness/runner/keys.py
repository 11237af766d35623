"""Keys of the store that all ranks of a run share: who sets each, who reads it, and how long it lasts.

Keys of a run (`RunRanks.run`) outlive torchrun's restarts of the ranks. Keys of a start (`RunRanks`) outlive
the ranks' own restarts in place, which are counted as generations. The keys of the rendezvous are in
`training.rendezvous`, `training.device_choice`, `training.addresses` and `training.barrier`, those of
measured times in `runner.autotune`, those of suites in `runner.launch.handover`.
"""

from __future__ import annotations

# Of a run.

RUN_ID = "id"  # set by rank 0 once TRIES and CODE are there; read by all
TRIES = "tries"  # set by rank 0: the attempts of trials before this run; read by all
CODE = "code"  # set by rank 0: hashes of the user's code and the harness's; read by all
MEASURING = (
    "measuring"  # set by all while they measure; read by all after a restart, which it may have caused
)
AT_ONCE = "trials at once"  # set by a rank that lacked memory: how many fit; read by all after a restart
OVER = "over"  # set by a rank: exit code and message of an error that no restart mends; read by all
OVER_TOLD = "over/told"  # counted by rank 0, which shows that message once


def eagerly(experiment: str) -> str:
    """Name the request to execute an experiment eagerly: set by a rank whose capture failed, read by all."""
    return f"eagerly/{experiment}"


def data(dataset: str) -> str:
    """Name a dataset's digest: set by the first rank that has loaded it, read by all."""
    return f"data/{dataset}"


def spared(start: int, trial: str) -> str:
    """Name the mark that a rank ended for a reason outside a trial: set by it, read by the next lessee."""
    return f"spared/{start}/{trial}"


def ended_early(start: int) -> str:
    """Name why ranks ended before they trained: set by one of them, read by the next start's."""
    return f"ended/{start}"


# Of a start.

STOP = "stop"  # set by the first rank that is asked to stop: the reason; read by all
EVENTS = "events"  # counted by any rank that sends an event; read by rank 0
SHOWN = "shown"  # counted by rank 0, which shows events; read by it after a restart in place


def event(number: int) -> str:
    """Name an event for the console: set by any rank, read by rank 0."""
    return f"event/{number}"


def pulse(rank: int) -> str:
    """Name a rank's heartbeat: set by it five times a second, read by rank 0 and by ranks that wait."""
    return f"pulse/{rank}"


def phase(generation: int, number: int) -> str:
    """Name the next phase of all ranks: set by rank 0, read by all."""
    return f"phase/{generation}.{number}"


def turn(phase: str) -> str:
    """Name the count of a phase's trials that ranks have tried to lease: counted and read by all."""
    return f"{phase}/turn"


def lease(phase: str, trial: str) -> str:
    """Name the lease on a trial of all ranks, empty without one: set by rank 0, read by all."""
    return f"{phase}/{trial}/claim"


def met(phase: str) -> str:
    """Name the count of ranks at the end of a phase, or of a trial of all ranks: counted and read by all."""
    return f"{phase}/met"


def first_to_load(dataset: str) -> str:
    """Name the count of ranks that have loaded a dataset: counted by all; the first tells its digest."""
    return f"data/{dataset}/first"


def spoiled(generation: int) -> str:
    """Name the request to restart in place: set by a rank after a broken capture, read by all."""
    return f"spoiled/{generation}"


def failed(trial: str) -> str:
    """Name why a trial failed: set by the rank that has recorded it, read by all."""
    return f"failed/{trial}"


def failure_reports(trial: str) -> str:
    """Name the count of ranks that saw a trial fail: counted by each, the first of which records it."""
    return f"failed/{trial}/reports"


def ended(trial: str) -> str:
    """Name how a trial ended: set by the rank that has recorded it, read by all."""
    return f"ended/{trial}"
