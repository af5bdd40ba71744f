"""What runs under a tool: `workload TOOL kernels PART PARTS`, `workload TOOL engines|lanes`,
`workload TOOL control-flow` or `workload TOOL planted direct|loop right|wrong`.

Ends with status 0 when all went well by itself; a tool turns that into one of its own where it
found something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from unittest import mock

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Network
from plugrt.core.devices.cuda import memory
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.devices.cuda.standalone import GpuLayer
from plugrt.core.devices.cuda.standalone import run_on_gpu as run_layer_on_gpu
from plugrt.plugins.native.cuda import CudaKernel, cublaslt, cudnn
from tests.cuda.kernel_cases import GROUPS
from tests.cuda.kernel_harness import KernelCase, kernels_of, run_on_gpu
from tests.cuda.sanitizer.planted import INPUT, Planted
from tests.cuda.sanitizer.tools import ROOT
from tests.cuda.test_engine_on_gpu import residual


def chosen_cases() -> Iterator[KernelCase]:
    """The first case of every kernel, and every case whose sizes the data decide."""
    seen: set[tuple[str, str, str]] = set()
    for group, cases in GROUPS.items():
        for one in cases():
            found = {(k.source.name, k.source.text, k.function) for k in kernels_of(one)}
            if group in ("detection", "boxes") or not found <= seen:
                seen |= found
                yield one


def run_kernels(part: int, parts: int) -> int:
    """Run every `parts`-th case."""
    done = 0
    for one in list(chosen_cases())[part::parts]:
        run_on_gpu(one)
        done += 1
    return done


def run_control_flow() -> int:
    """Branches and loops, those that report a failure included."""
    tests = ROOT / "tests" / "cuda" / "test_gpu_control_flow.py"
    status = pytest.main(["-q", "-p", "no:cacheprovider", str(tests)])
    if status:
        raise SystemExit(f"the tests of control flow ended with {status}")
    return 1


def run_engines() -> int:
    """Whole inferences: staging, an arena that tensors share, and lanes, all by own kernels."""
    image = np.random.default_rng(1).standard_normal((2, 3, 32, 32), np.float32)
    done = 0
    with ExitStack() as patches:
        for package in (cudnn, cublaslt):
            for module in (package, package.library):  # type: ignore[attr-defined]
                patches.enter_context(
                    mock.patch.object(module, "unavailable_reason", return_value="hidden")
                )
        for precision in ("fp32", "fp16", "int8"):
            config = BuilderConfig(device="cuda", precision=precision, tune="off", threads=1)
            with plugrt.build(residual(2), config) as engine, engine.create_context() as context:
                for _ in range(2):
                    context.execute({"x": image})
                    done += 1
    return done


def two_lanes() -> Network:
    """A pooling, and two others of what it gives."""
    network = Network("two lanes")
    x = network.add_input("x", "float32", [1, 8, 6, 6])
    x = network.add_max_pooling(x, kernel=(2, 2)).output
    for name, size in (("left", 3), ("right", 5)):
        y = network.add_max_pooling(x, kernel=(size, size), padding=(size // 2,) * 4).output
        network.mark_output(y, name)
    return network


def run_lanes() -> int:
    """Layers beside each other: small, as racecheck takes minutes for what is not."""
    image = np.random.default_rng(1).standard_normal((1, 8, 6, 6), np.float32)
    config = BuilderConfig(device="cuda", tune="off", threads=1)
    with plugrt.build(two_lanes(), config) as engine:
        engine.planned.lanes = 2
        with engine.create_context() as context:
            lanes = context.recording({"x": image.shape}).arrangement.count
            if lanes != 2:
                raise SystemExit(f"{lanes} of 2 lanes are in use")
            for _ in range(2):
                context.execute({"x": image})
    return 2


def run_planted(tool: str, where: str, which: str) -> int:
    """Run the kernel that has, or has not, the tool's error."""
    layer = Planted(tool=tool, inside=where == "loop", wrong=which == "wrong")
    run_layer_on_gpu(layer, [INPUT])
    return 1


def compilations() -> list[CudaKernel]:
    """All kernels that will be launched but those of control flow."""
    found = {kernel: None for one in chosen_cases() for kernel in kernels_of(one)}
    return list(found)


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for."""
    tool, what, *rest = arguments
    with ExitStack() as patches:
        if what == "kernels":  # each buffer gets an allocation of its own, with padding around
            patches.enter_context(mock.patch.object(memory, "_new_pool", return_value=None))
        # What lies between the rows of an output is not written; reading it is no kernel's error.
        patches.enter_context(mock.patch.object(GpuLayer, "results", return_value=[]))
        if tool == "initcheck":  # poison would count as written
            patches.enter_context(mock.patch.object(DeviceBuffer, "fill", return_value=None))
        if what == "kernels":
            done = run_kernels(int(rest[0]), int(rest[1]))
        elif what == "control-flow":
            done = run_control_flow()
        elif what == "engines":
            done = run_engines()
        elif what == "lanes":
            done = run_lanes()
        else:
            done = run_planted(tool, *rest)
    print(f"ran {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
