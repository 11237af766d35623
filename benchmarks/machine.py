"""On what figures were taken."""

from __future__ import annotations

import datetime

import torch

from harness.results import provenance


def machine() -> str:
    """Name the cores, the version of torch, the day and the commit."""
    cpu = provenance.device_name(torch.device("cpu"))
    today = f"{datetime.datetime.now(tz=datetime.UTC):%d %B %Y}"
    commit = (provenance.commit() or "unknown")[:7]
    return f"{provenance.cores()} cores of an {cpu}, torch {torch.__version__}, {today}, commit {commit}"
