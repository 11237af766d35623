"""One thread before torch is loaded, so that forked ranks are safe and equal; signals as a shell has them."""

import os
import signal

os.environ["OMP_NUM_THREADS"] = "1"

# What starts the tests in the background may ignore these, and so would the runs that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
