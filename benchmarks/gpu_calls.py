"""Calls on a GPU one by one: contexts beside each other, copies, and the host's share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import numpy as np

import plugrt
from benchmarks.nets.lenet import lenet
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.core.devices.cuda import host_copies
from plugrt.core.devices.cuda.calls import Call
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer, DeviceMemory
from plugrt.plugins.native.cuda import Context, device_count
from plugrt.plugins.native.cuda.driver_calls import call

MIB = 1 << 20
CONTEXTS = (1, 2, 4, 8, 12)


def median_of(run: Callable[[], object], count: int) -> float:
    """Median seconds of `count` runs, after a few."""
    for _ in range(5):
        run()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


# ---- contexts -----------------------------------------------------------------------------------


def contexts(engine: plugrt.Engine) -> dict[str, Any]:
    """Memory of each of twelve contexts, their rates together, and whether all compute alike."""
    ((name, desc),) = engine.inputs.items()
    rng = np.random.default_rng(0)
    images = [rng.random(desc.shape, np.float32) for _ in range(CONTEXTS[-1])]
    gpu, pool = Context.of(0), DeviceMemory.of(Context.of(0))
    made: list[plugrt.ExecutionContext] = []
    memory = []
    for image in images:
        free, own = _free_bytes(gpu), pool.allocated_bytes
        made.append(engine.create_context())
        made[-1].execute({name: image})
        plan = made[-1].recording({name: image.shape}).plan
        memory.append({
            "device_mib": round((free - _free_bytes(gpu)) / MIB, 2),
            "buffers_mib": round((pool.allocated_bytes - own) / MIB, 2),
            "arena_mib": round(plan.arena_size / MIB, 2),
        })  # fmt: skip
    wanted = [made[0].execute({name: image}) for image in images]
    rates, equal = {}, True
    for count in CONTEXTS:
        rates[count], same = _together(made[:count], name, images, wanted)
        equal &= same
    for context in made:
        context.close()
    return {
        "net": "resnet50", "precision": "fp16", "batch": desc.shape[0],
        "weights_mib": round(engine.packed_bytes / MIB, 2), "memory": memory,
        "calls_per_second": rates, "bits_equal": equal,
    }  # fmt: skip


def _together(
    made: Sequence[plugrt.ExecutionContext], name: str, images: Sequence[Any],
    wanted: Sequence[dict[str, Any]], seconds: float = 1.0,
) -> tuple[float, bool]:  # fmt: skip
    """Calls per second of contexts in a thread each, and whether every result was right."""
    counts, wrong = [0] * len(made), [0] * len(made)
    begin = threading.Barrier(len(made) + 1)

    def work(number: int) -> None:
        begin.wait()
        while time.perf_counter() < end[0]:
            which = (number + counts[number]) % len(images)
            found = made[number].execute({name: images[which]})
            wrong[number] += any(
                not np.array_equal(array, wanted[which][key]) for key, array in found.items()
            )
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(made))]
    end = [0.0]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    end[0] = start + seconds
    begin.wait()
    for thread in threads:
        thread.join()
    return round(sum(counts) / (time.perf_counter() - start), 1), not any(wrong)


def _free_bytes(gpu: Context) -> int:
    with gpu.current():
        return int(call("cuMemGetInfo")[0])


# ---- several GPUs -------------------------------------------------------------------------------


def gpus(engine: plugrt.Engine, seconds: float = 1.5) -> dict[str, Any]:
    """Images per second of pools on one GPU, on two, and so on, from one plan; NumPy arrays."""
    ((name, desc),) = engine.inputs.items()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, desc.shape, np.uint8) for _ in range(6)]
    plan, rates = engine.to_bytes(), {}
    for count in range(1, device_count() + 1):
        with plugrt.ThroughputPool.load(plan, [f"cuda:{k}" for k in range(count)]) as pool:
            for _ in pool.map({name: image} for image in images * 4 * count):
                pass
            start = time.perf_counter()
            done = sum(1 for _ in pool.map(_for_some_time(name, images, start + seconds)))
            rates[str(count)] = round(done * int(desc.shape[0]) / (time.perf_counter() - start), 1)
    return {
        "net": "resnet50", "precision": "fp16", "batch": desc.shape[0], "dtype": desc.dtype.value,
        "cores": len(os.sched_getaffinity(0)), "images_per_second": rates,
    }  # fmt: skip


def _for_some_time(name: str, images: Sequence[Any], end: float) -> Iterator[dict[str, Any]]:
    for image in cycle(images):
        if time.perf_counter() > end:
            return
        yield {name: image}


# ---- copies -------------------------------------------------------------------------------------


def chunks(engine: plugrt.Engine) -> dict[str, Any]:
    """Milliseconds of a call: in one piece by one thread, in one piece by several, in chunks, with
    pinned arrays, with arrays that are on the GPU; and of each of many calls in the queue."""
    ((name, desc),) = engine.inputs.items()
    image = np.random.default_rng(0).random(desc.shape, np.float32)
    pinned = plugrt.pinned_empty(image.shape)
    pinned[...] = image
    buffer = DeviceBuffer.of(Context.of(0), image)
    resident = DeviceArray(buffer.address, image.shape, image.dtype, 0, buffer)
    found: dict[str, Any] = {"batch": desc.shape[0], "input_mib": round(image.nbytes / MIB, 2)}
    with engine.create_context() as context:

        def ms(value: Any, count: int = 60) -> float:
            return round(median_of(lambda: context.execute({name: value}), count) * 1e3, 3)

        with _in_one_piece():
            found["one_copy"] = ms(image)
        found["chunks"] = ms(image)
        found["pinned"] = ms(pinned)
        found["on_gpu"] = ms(resident)
        with _in_one_piece():
            found["queue_one_copy"] = _queued(context, {name: image})
        found["queue_chunks"] = _queued(context, {name: image})
        found["queue_pinned"] = _queued(context, {name: pinned})
    return found


def _queued(context: plugrt.ExecutionContext, inputs: dict[str, Any], count: int = 60) -> float:
    for future in [context.enqueue(inputs) for _ in range(4)]:
        future.result()
    start = time.perf_counter()
    for future in [context.enqueue(inputs) for _ in range(count)]:
        future.result()
    return round((time.perf_counter() - start) / count * 1e3, 3)


@contextmanager
def _in_one_piece() -> Iterator[None]:
    """Arrays are copied by one thread, then transferred."""
    before = host_copies.LEAST_CHUNK, host_copies.MOST_THREADS
    host_copies.LEAST_CHUNK, host_copies.MOST_THREADS = 1 << 40, 1
    try:
        yield
    finally:
        host_copies.LEAST_CHUNK, host_copies.MOST_THREADS = before


# ---- the host's share ---------------------------------------------------------------------------


def share() -> dict[str, Any]:
    """Microseconds of the host per call of lenet: before and after the GPU works."""
    config = plugrt.BuilderConfig(device="cuda", precision="fp32", max_batch_size=1, tune="off")
    recipe = lenet()
    image = np.random.default_rng(0).random((1, *recipe.input_shape), np.float32)
    found: dict[str, Any] = {"net": "lenet", "precision": "fp32", "batch": 1}
    with plugrt.build(to_plugrt(recipe, 1), config) as engine:
        ((name, _),) = engine.inputs.items()
        with engine.create_context() as context:
            assert isinstance(context, CudaContext)
            execute = lambda: context.execute({name: image})  # noqa: E731
            found["call_with_host_arrays"] = round(median_of(execute, 1000) * 1e6, 2)
            parts = []
            for _ in range(1000):
                start = time.perf_counter()
                begun = context._begin({name: image}, None)
                put = time.perf_counter()
                context.stream.synchronize()
                done = time.perf_counter()
                context._finish(begun)
                parts.append((put - start, done - put, time.perf_counter() - done))
            before, waiting, after = (np.median(parts, axis=0) * 1e6).tolist()
            driver = _driver_calls(context, begun)
            found |= {
                "host_before": round(before, 2), "waiting": round(waiting, 2),
                "host_after": round(after, 2), "driver": round(driver, 2),
                "python": round(before + after - driver, 2),
            }  # fmt: skip
            buffer = DeviceBuffer.of(Context.of(0), image)
            resident = DeviceArray(buffer.address, image.shape, image.dtype, 0, buffer)
            put_on = lambda: context.execute({name: resident}, "device")  # noqa: E731
            found["host_share_with_gpu_arrays"] = round(_asynchronous(context, put_on), 2)
    return found


def _driver_calls(context: CudaContext, call: Call) -> float:
    """Microseconds of what any program would ask of the driver for a call."""
    (graph,) = call.places.graphs.values()
    assert call.turn is not None
    done, times = call.turn.done, []
    for _ in range(1000):
        start = time.perf_counter()
        with Context.of(0).current():
            graph.launch(context.stream)
            done.record(context.stream)
        put = time.perf_counter()
        context.stream.synchronize()
        again = time.perf_counter()
        done.synchronize()
        times.append(put - start + time.perf_counter() - again)
    return float(np.median(times)) * 1e6


def _asynchronous(context: CudaContext, run: Callable[[], object], count: int = 40) -> float:
    """Microseconds of calls that nothing waits for."""
    samples = []
    for _ in range(25):
        context.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            run()
        samples.append((time.perf_counter() - start) / count)
    context.synchronize()
    return float(np.median(samples)) * 1e6
