"""With this folder on PYTHONPATH torch counts all GPUs that are to be seen, as NVML does, there or not.

With OLD_DRIVER it finds a driver that is too old, and its C++ part warns of that once in each process that
counts GPUs, as each does in its first backward. torchrun's own process, which warns as well, is left out.
"""

import os
import sys
import warnings
from typing import Any

import torch

_VISIBLE = "CUDA_VISIBLE_DEVICES"
torch.cuda.device_count = lambda: len([name for name in os.environ[_VISIBLE].split(",") if name])

if "OLD_DRIVER" in os.environ and "torch.distributed.run" not in sys.orig_argv:
    autograd: Any = torch.autograd
    compiled: Any = torch._C
    unheard = [os.environ["OLD_DRIVER"]]
    backward = autograd._engine_run_backward

    def count() -> int:
        if unheard:
            warnings.warn(unheard.pop(), UserWarning, stacklevel=2)
        return 0

    def counting_backward(*arguments: Any, **named: Any) -> Any:
        count()
        return backward(*arguments, **named)

    def begin() -> None:
        raise RuntimeError(os.environ["OLD_DRIVER"])

    compiled._cuda_getDeviceCount, compiled._cuda_init = count, begin
    autograd._engine_run_backward = counting_backward
