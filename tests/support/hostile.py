"""An object that executes something when it is unpickled."""

from __future__ import annotations

import os
from typing import Any


class Hostile:
    """Would make a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)
