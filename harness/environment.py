"""Environment variables of the harness: who sets each, and who reads it."""

from __future__ import annotations

# Set by users.

DATA = "HARNESS_DATA"  # a folder of datasets' files
CACHE_GIB = "HARNESS_CACHE_GIB"  # how much prepared data the cache keeps
STALE_SECONDS = "HARNESS_STALE_SECONDS"  # the default of --stale-after

# Set by `harness run` for its ranks.

LAUNCHED = "HARNESS_LAUNCHED"  # its process id; without it the ranks were started by torchrun itself
SUITES = "HARNESS_SUITES"  # the file with the suites to train
STARTS = "HARNESS_STARTS"  # the folder in which ranks note how their starts ended

# Set by a rank for itself; a command that it starts inherits them.

RANK_PROCESS = "HARNESS_RANK_PROCESS"  # its process id, which tells it from such a command
FOLDER = "HARNESS_FOLDER"  # the current folder at its start, to which it returns for a restart in place
START = "HARNESS_START"  # after a restart in place: the number of the start
GENERATION = "HARNESS_GENERATION"  # after a restart in place: how many there were

# Set by `harness submit` for the job's script, run.sbatch, which says what each is by default.

PYTHON = "HARNESS_PYTHON"
PROGRAM = "HARNESS_PROGRAM"
SETUP = "HARNESS_SETUP"
NPROC = "HARNESS_NPROC"
JOBS = "HARNESS_JOBS"
CODE = "HARNESS_CODE"  # read by the ranks: the hash of the code that was submitted

# Set by the job's script for its ranks.

JOB_FILES = "HARNESS_JOB_FILES"  # the path, without suffix, of the stop file and the outcome file
JOB_SUITES = "HARNESS_JOB_SUITES"  # the file of suites that the first start of a job leaves to later ones
