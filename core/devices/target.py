"""What a build is for: a device, and how it may compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...plugins import Combination, Epilogue, LayerPlugin, TacticRequest

HOST = "cpu"


@dataclass(frozen=True)
class Target:
    """A device by name and number. `threads` is the team of what runs on the host; `tf32` allows
    products of float32 numbers rounded to 10 bits."""

    device: str = HOST
    ordinal: int = 0
    threads: int = 1
    tf32: bool = False

    @property
    def is_host(self) -> bool:
        """Whether everything runs on the host anyway."""
        return self.device == HOST

    def has_kernels_for(self, plugin: LayerPlugin) -> bool:
        """Whether a layer may be asked about this device; every layer runs on the host."""
        return self.is_host or (plugin.recordable and self.device in plugin.devices)

    @property
    def host(self) -> Target:
        """The host beside it."""
        return self if self.is_host else Target(threads=self.threads)

    def combination(self, inputs: Any, outputs: Any) -> Combination:
        """A layer's own tensors on this device."""
        return Combination(tuple(inputs), tuple(outputs), self.device)

    def request(self, inputs: Any, outputs: Any, epilogue: Epilogue) -> TacticRequest:
        """What a layer is asked for tactics."""
        return TacticRequest(
            tuple(inputs), tuple(outputs), epilogue, self.device, self.threads,
            tf32=self.tf32, ordinal=self.ordinal,
        )  # fmt: skip
