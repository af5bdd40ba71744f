"""What runs under the sanitizer: `workload.py layers NAME...` or `workload.py contexts`.

Ends with status 0 when all went well by itself; the sanitizer turns that into one of its own where
it found something.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import plugrt
from plugrt import ThroughputPool
from plugrt.testing import check_layer
from tests.stress.subjects import Subject, subjects

THREADS = 6
CONTEXTS = 2
ROUNDS = 3

CHECKS = (
    "every tactic and format", "16-bit floats", "integers", "int8", "slices of larger tensors",
    "shared by two contexts",
)  # fmt: skip


def layers(names: Sequence[str]) -> bool:
    """The checks of the conformance kit that run kernels, on teams of several threads."""
    passed = True
    for name in names:
        report = check_layer(name, checks=CHECKS)
        print(f"{name}: {'passed' if report.passed else report}", flush=True)
        passed = passed and report.passed
    return passed


def contexts() -> bool:
    """Engines that many threads share: contexts, pools, contexts with a thread of their own."""
    for team in (1, 3):
        with ExitStack() as engines:
            for subject in subjects(team, engines):
                print(f"{subject.name}, {team} threads", flush=True)
                _share(subject)
    return True


def _share(subject: Subject) -> None:
    engine, calls = subject.engine, range(len(subject.feeds))
    with (
        ExitStack() as opened, ThreadPoolExecutor(THREADS) as pool,
        ThroughputPool(engine, CONTEXTS, engine.info.threads) as throughput,
    ):  # fmt: skip
        shared = [
            opened.enter_context(engine.create_context()),
            opened.enter_context(engine.create_context(spin_seconds=0.01)),
        ]

        def work(number: int) -> None:
            for step in range(ROUNDS * len(calls)):
                call = (number + step) % len(calls)
                found = shared[(number + step) % 2].execute(subject.feeds[call])
                subject.check(call, found)
                subject.check(call, throughput.submit(subject.feeds[call]).result())

        list(pool.map(work, range(THREADS)))


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    print(plugrt.__file__)
    what, *names = arguments
    return 0 if (layers(names) if what == "layers" else contexts()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
