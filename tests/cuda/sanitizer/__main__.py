"""Run every own kernel under every tool; fails where one finds something.

`python -m tests.cuda.sanitizer [--tools memcheck,...] [--parts N] [--processes N]`
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from plugrt.plugins.native.cuda import unavailable_reason
from tests.cuda.sanitizer import tools, workload
from tests.cuda.sanitizer.planted import FAULTS
from tests.cuda.sanitizer.tools import TOOLS, Outcome

IN_LOOPS = ("memcheck", "initcheck")
"""Tools that look into the bodies of conditional graph nodes, as of compute-sanitizer 2025.3."""

ATTEMPTS = 3
"""memcheck and initcheck of compute-sanitizer 2025.3 may lose their way in loops: of former code,
control flow ended in CUDA_ERROR_ILLEGAL_ADDRESS in three runs of four, without a finding; of later
code it was clean in fourteen of fourteen. Without a tool it never does, nor under the other two."""

Task = tuple[str, tuple[str, ...], bool]
"""Tool, arguments of the workload, whether the tool shall find something."""


def tasks(chosen: Sequence[str], parts: int) -> Iterator[Task]:
    """The kernels in shares, control flow, and for each tool what proves that it looks; loops
    last, when there is less to do."""
    for tool in chosen:
        for part in range(parts):
            yield tool, ("kernels", str(part), str(parts)), False
        yield tool, ("engines",), False
        yield tool, ("lanes",), False
    for where in ("direct", "loop"):
        for tool in chosen:
            if where == "loop":
                yield tool, ("control-flow",), False
            if where == "direct" or tool in IN_LOOPS:
                yield tool, ("planted", where, "wrong"), True
                yield tool, ("planted", where, "right"), False


def has_loops(what: Sequence[str]) -> bool:
    """Whether a share of the workload runs bodies again and again."""
    return "control-flow" in what or "loop" in what


def compile_all() -> None:
    """Fill the disk cache; under a tool, compiling would take minutes."""
    kernels = [*workload.compilations(), *FAULTS.values()]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda kernel: kernel.stored(0), kernels))


def judged(outcome: Outcome, wanted: bool) -> str | None:
    """What is wrong with an outcome; None when it is as it shall be."""
    if outcome.findings is None:
        return f"no summary, status {outcome.status}"
    if wanted:
        found = outcome.findings and outcome.names_its_error
        return None if found else "the planted error was not found"
    return None if outcome.clean else f"{outcome.findings} findings, status {outcome.status}"


def is_lost(outcome: Outcome) -> bool:
    """Whether a tool could not follow control flow: there is an error, and no finding."""
    return (
        "control-flow" in outcome.workload
        and outcome.tool in IN_LOOPS
        and outcome.status > 0
        and outcome.findings == 0
        and "CUDA_ERROR_ILLEGAL_ADDRESS" in outcome.output
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cuda.sanitizer", description=__doc__)
    parser.add_argument("--tools", default=",".join(TOOLS), help="by commas; default: %(default)s")
    parser.add_argument("--parts", type=int, default=3, help="processes that share the kernels")
    parser.add_argument("--processes", type=int, default=8, help="how many run at once")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one process")
    given = parser.parse_args(arguments)
    program, reason = tools.sanitizer(), unavailable_reason()
    if program is None or reason is not None:
        print(f"cannot run: {reason or 'compute-sanitizer is not on the PATH'}", file=sys.stderr)
        return 2
    compile_all()
    wrong = lost = 0
    todo = list(tasks(given.tools.split(","), given.parts))
    loops = threading.Lock()

    def run(task: Task) -> tuple[Outcome, str | None]:
        tool, what, wanted = task
        if not has_loops(what):
            outcome = tools.run(program, tool, what, given.limit)
            return outcome, judged(outcome, wanted)
        with loops:
            for _ in range(ATTEMPTS):
                outcome = tools.run(program, tool, what, given.limit)
                problem = judged(outcome, wanted)
                if problem is None or outcome.findings:
                    break
            return outcome, problem

    with ThreadPoolExecutor(given.processes) as pool:
        for outcome, problem in pool.map(run, todo):
            print(f"{outcome.tool} {outcome.workload}: {problem or 'as it shall be'} "
                  f"({outcome.seconds:.0f} s)", flush=True)  # fmt: skip
            if problem and is_lost(outcome):
                lost += 1
                print("  not judged: the tool lost its way, and found nothing", flush=True)
            elif problem:
                wrong += 1
                print(outcome.output[:6000], flush=True)
    verdict = f"{wrong} of {len(todo)} runs are not as they shall be" if wrong else "clean"
    print(f"{verdict}; {lost} not judged" if lost else verdict)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
