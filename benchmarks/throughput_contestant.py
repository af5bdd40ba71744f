"""One engine in its throughput mode, in a process of its own; see benchmarks.contestant.

`run N` has N images computed, several at once, and answers with the seconds by image. The engines
have as many threads in all as there are processors, and hand each result over as NumPy arrays.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import repeat

import numpy as np

from benchmarks.contestant import Spec, answer

RunMany = Callable[[int], None]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def plugrt(spec: Spec, image: np.ndarray) -> RunMany:
    """A pool of contexts of one thread each on shared weights."""
    import plugrt as sdk

    pool = sdk.ThroughputPool(sdk.Engine.load(spec["plan"]), processors())
    inputs = {"image": image}

    def run(images: int) -> None:
        for _ in pool.map(repeat(inputs, images)):
            pass

    return run


def onnxruntime(spec: Spec, image: np.ndarray) -> RunMany:
    """One session without threads of its own, run by as many threads as there are processors."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    inputs = {"image": image}

    def part(images: int) -> None:
        for _ in range(images):
            session.run(None, inputs)

    def run(images: int) -> None:
        count = min(images, processors())
        shares = [images // count + (k < images % count) for k in range(count)]
        workers = [threading.Thread(target=part, args=(share,)) for share in shares]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run


def openvino(spec: Spec, image: np.ndarray) -> RunMany:
    """Compiled for throughput, with a queue of as many requests as it finds best."""
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": processors(),
        "INFERENCE_PRECISION_HINT": spec["precision"].replace("fp", "f"),
        "PERFORMANCE_HINT": "THROUGHPUT",
    }
    core = ov.Core()
    compiled = core.compile_model(core.read_model(spec["model"]), "CPU", settings)
    outputs = range(len(compiled.outputs))
    queue = ov.AsyncInferQueue(compiled)
    queue.set_callback(
        lambda request, _: [np.array(request.get_output_tensor(k).data) for k in outputs]
    )

    def run(images: int) -> None:
        for _ in range(images):
            queue.start_async(image, share_inputs=True)
        queue.wait_all()

    return run


KINDS = {f.__name__: f for f in (plugrt, onnxruntime, openvino)}


def serve(spec: Spec) -> None:
    """Load, then answer until standard input ends."""
    image = np.load(spec["image"])
    clock = time.perf_counter
    run = KINDS[spec["kind"]](spec, image)
    run(2 * processors())
    answer({})
    for line in sys.stdin:
        images = int(line.split()[1])
        start = clock()
        run(images)
        answer([(clock() - start) / images])


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
