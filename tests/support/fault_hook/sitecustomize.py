"""Python runs this first in every process of a drill, which only then takes the hook in."""

import os

if "HARNESS_DRILL" in os.environ:
    from tests.support.fault_hook import hook

    hook.install()
