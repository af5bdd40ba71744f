"""What a build may be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from ...plugins import DataType, PlugrtError, ShapeError
from ..devices.opening import parse_device
from ..devices.target import Target
from ..tuning.progress import Progress
from ..tuning.timing_cache import TimingCache

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8", "fp8", "best")
TUNING = ("fast", "full", "off")
MEMORY = ("normal", "low")


@dataclass(frozen=True)
class ShapeProfile:
    """Least, best and largest shape of one input; tactics are chosen for `optimum`."""

    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]


@dataclass
class BuilderConfig:
    """Options of a build.

    `device`: "cpu", "cuda", or "cuda:1" for the second GPU; layers that have no kernels for a GPU
    run on the host.
    `precision`: fp32 keeps every float in 32 bits; tf32 lets GPUs round the inputs of products
    to 10 bits; bf16 and fp16 use 16 bits for the layers
    that get faster, conversions counted, where the device computes with them; int8 stores
    tensors that have a scale (`tensor.set_quantization`) in 8 bits where layers can; fp8 does so
    in float8_e4m3fn, for which GPUs have layers; best allows all of these but fp8.
    `max_workspace_size`: bytes of scratch memory one layer may use; None means any.
    `memory`: low leaves out ways to run whose packed weights are larger than the network's
    own, as Winograd's are, where a layer has others.
    `profiles`: a ShapeProfile per input with symbolic sizes. `max_batch_size` is shorthand
    for the size on axis 0: from 1 to it, best at it. Without either, any size runs and
    tactics are chosen for 1.
    `threads`: team size that tactics are chosen for, and the contexts' default; on a GPU that
    of layers that run on the host.
    `tune`: fast measures the candidates of every layer; full measures longer, the unlikely
    ones too, and the best whole networks; off decides by rules.
    `tune_time`: seconds after which nothing more is measured and rules decide; None: no limit.
    `progress`: is called with a `TuningProgress` after every measurement.
    `fusion`: False keeps every layer on its own (for comparisons and profiles).
    `timing_cache`: a TimingCache, or a file to read and update.
    """

    device: str = "cpu"
    precision: str = "fp32"
    max_workspace_size: int | None = None
    memory: str = "normal"
    profiles: Mapping[str, ShapeProfile] = field(default_factory=dict)
    max_batch_size: int | None = None
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    tune: str = "fast"
    tune_time: float | None = None
    progress: Callable[[Progress], None] | None = None
    fusion: bool = True
    timing_cache: Union[TimingCache, Path, str, None] = None  # noqa: UP007

    @property
    def eight_bits(self) -> DataType | None:
        """How tensors that have a scale may be stored: INT8 (or UINT8), or an 8-bit float."""
        stored = {"int8": DataType.INT8, "best": DataType.INT8, "fp8": DataType.FLOAT8_E4M3FN}
        return stored.get(self.precision)

    @property
    def target(self) -> Target:
        """What layers are asked for."""
        name, ordinal = parse_device(self.device)
        return Target(name, ordinal, self.threads, tf32=self.precision in ("tf32", "best"))

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("precision", self.precision, PRECISIONS),
            ("tune", self.tune, TUNING),
            ("memory", self.memory, MEMORY),
        ):
            if value not in allowed:
                known = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
                raise PlugrtError(f"{name}={value!r} is not available; use {known}")
        parse_device(self.device)
        if self.threads < 1:
            raise PlugrtError(f"threads={self.threads} is not possible; use 1 or more")
        if self.tune_time is not None and not self.tune_time >= 0:
            raise PlugrtError(f"tune_time={self.tune_time} is not possible; give seconds, or None")
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ShapeError(f"max_batch_size={self.max_batch_size} is not possible; use 1 or more")
        if self.max_workspace_size is not None and self.max_workspace_size < 0:
            raise PlugrtError(
                f"max_workspace_size={self.max_workspace_size} is negative; give bytes, or None"
            )
