"""Set up what must stand before torch is loaded: one thread, so that forked ranks are safe and equal."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
