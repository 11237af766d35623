"""The files that a report writes beside records."""

from __future__ import annotations

import re
from pathlib import PurePath

_NAMES = re.compile(r"table\.(md|tex|csv)|epochs\.csv|(comparison|curves)\.(svg|png)")


def is_of_report(path: PurePath | str) -> bool:
    """Tell whether a report wrote the file."""
    return bool(_NAMES.fullmatch(PurePath(path).name))
