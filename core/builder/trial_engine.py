"""Engines that live as long as a measurement."""

from __future__ import annotations

from ..devices.opening import device_named
from ..devices.target import Target
from ..engine.engine import Engine
from ..engine.info import EngineInfo
from ..runtime.planned import PlannedNetwork


def engine_on(target: Target, planned: PlannedNetwork) -> Engine:
    """An engine on the device that the build is for."""
    session = device_named(f"{target.device}:{target.ordinal}").open()
    return Engine(planned, EngineInfo(threads=target.threads), session=session)
