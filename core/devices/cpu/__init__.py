"""The CPU device: layers record kernels on a command list, a context replays it in one C call."""

from .device import CpuDevice, warn_without_onednn
from .recording import CpuRecording, SlotTable
from .stream import CpuStream

__all__ = ["CpuDevice", "CpuRecording", "CpuStream", "SlotTable", "warn_without_onednn"]
