"""The input of an engine that takes pictures."""

from __future__ import annotations

from dataclasses import dataclass

from plugrt import Engine
from plugrt.plugins import DataType, PlanError

from .preparing import CHANNELS


@dataclass(frozen=True)
class PictureInput:
    """Name and extents of an input [N, channels, height, width]; N is between the two sizes,
    `largest_batch` None for any number."""

    name: str
    channels: int
    height: int
    width: int
    least_batch: int
    largest_batch: int | None

    @classmethod
    def of(cls, engine: Engine) -> PictureInput:
        """Raises PlanError unless the engine's only input takes pictures."""
        inputs = dict(engine.inputs)
        if len(inputs) == 1:
            ((name, desc),) = inputs.items()
            sizes = [extent for extent in desc.shape[1:] if isinstance(extent, int)]
            fits = len(desc.shape) == 4 and len(sizes) == 3 and sizes[0] in CHANNELS
            if fits and desc.dtype is DataType.FLOAT32:
                batch = desc.shape[0]
                if isinstance(batch, int):
                    return cls(name, sizes[0], sizes[1], sizes[2], batch, batch)
                profile = engine.info.profiles.get(str(batch))
                least, largest = (1, None) if profile is None else (profile[0], profile[2])
                return cls(name, sizes[0], sizes[1], sizes[2], max(least, 1), largest)
        described = ", ".join(f"{name} {desc}" for name, desc in inputs.items())
        raise PlanError(
            f"the plan's input is {described}; pictures need one input float32 [N, 3, "
            "height, width], or [N, 1, height, width] for luminance"
        )

    def batch_size(self, wanted: int) -> int:
        """The number of pictures at once that is nearest to `wanted` and possible."""
        limited = wanted if self.largest_batch is None else min(wanted, self.largest_batch)
        return max(limited, self.least_batch, 1)
