"""What a replay changes about its thread while it runs, and puts back."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network
from plugrt.plugins import Shape, TensorDesc
from plugrt.plugins.native import _extension as native

Build = Callable[..., Engine]

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO, ROUND_UP = 0x8000, 0x0040, 0x4000
CONTROL_BITS = 0xFFC0  # all but the flags of exceptions that have occurred

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="reads MXCSR")


class Environment:
    """The thread's floating-point environment: on x86-64 MXCSR is the last of 32 bytes."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libm.so.6")
        self._memory = (ctypes.c_uint32 * 8)()

    @property
    def control(self) -> int:
        self._library.fegetenv(self._memory)
        return self._memory[7] & CONTROL_BITS

    @control.setter
    def control(self, value: int) -> None:
        self._library.fegetenv(self._memory)
        self._memory[7] = value
        self._library.fesetenv(self._memory)


@pytest.fixture
def environment() -> Iterator[Environment]:
    here = Environment()
    before = here.control
    yield here
    here.control = before


class Observer(LayerPlugin):
    """Hands on its input; looks around in between."""

    type = "Test.Observer"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        observed.update(
            team=native.lib.plugrt_get_num_threads(),
            flushing=native.lib.plugrt_count_flushing(native.lib.plugrt_get_num_threads()),
        )
        if inputs[0].flat[0] < 0:
            raise ValueError("negative")
        outputs[0][...] = inputs[0]


observed: dict[str, int] = {}

DENORMAL = np.float32(1e-40)


@pytest.fixture
def engine(network: Network, quick_build: Build) -> Engine:
    x = network.add_input("x", "float32", [200_000])
    y = network.add_layer(Observer(), [x], name="observer").output
    network.mark_output(network.add_multiply(y, np.float32(2), name="y").output)
    return quick_build(network, threads=3)


def feed(value: float) -> dict[str, Any]:
    return {"x": np.full(200_000, value, np.float32)}


@x86
@pytest.mark.parametrize(
    "bits",
    [0, FLUSH_TO_ZERO, DENORMALS_ARE_ZERO, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO, ROUND_UP],
    ids=["none", "results", "operands", "both", "rounding"],
)
def test_denormals_are_flushed_and_the_callers_setting_comes_back(
    engine: Engine, environment: Environment, bits: int
) -> None:
    with engine.create_context() as context:
        feeds = feed(float(DENORMAL))
        context.execute(feeds)
        environment.control = wanted = 0x1F80 | bits
        found = context.execute(feeds)["y"]
        now = environment.control
        environment.control = 0x1F80
        assert now == wanted & CONTROL_BITS
        assert observed == {"team": 3, "flushing": 3}
        assert not found.any()  # by every thread of the team
        assert (feeds["x"] * np.float32(2)).all()  # NumPy, after us, does not flush

        environment.control = wanted
        with pytest.raises(DeviceError):
            context.execute(feed(-1))
        now = environment.control
        environment.control = 0x1F80
        assert now == wanted & CONTROL_BITS


def test_the_callers_team_comes_back(engine: Engine) -> None:
    before = native.lib.plugrt_get_num_threads()
    try:
        for mine, theirs in ((5, 3), (1, 2), (2, 2)):
            native.lib.plugrt_set_num_threads(mine)
            with engine.create_context(theirs) as context:
                context.execute(feed(1))
                assert observed["team"] == theirs
                assert native.lib.plugrt_get_num_threads() == mine
                with pytest.raises(DeviceError):
                    context.execute(feed(-1))
                assert native.lib.plugrt_get_num_threads() == mine
    finally:
        native.lib.plugrt_set_num_threads(before)
