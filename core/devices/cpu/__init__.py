"""The CPU device: layers record kernels on a command list, a context replays it in one C call."""

from .cache_state import CacheState, Weights
from .device import CpuDevice, warn_without_onednn
from .recording import CpuRecording, SlotTable
from .scheduling import Affinity, Runner, release_team
from .stream import CpuStream

__all__ = [
    "Affinity", "CacheState", "CpuDevice", "CpuRecording", "CpuStream", "Runner", "SlotTable",
    "Weights",    "release_team", "warn_without_onednn",
]  # fmt: skip
