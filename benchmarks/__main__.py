"""Run every measurement, then rewrite docs/performance.md: python -m benchmarks [NAME...]

About two hours on a machine that does nothing else, most of them for tuning and for the cells of
the latency benchmark; --resume goes on where a run was interrupted. A measurement that fails
keeps its former results, and the page is written from what there is. Those of the GPU are left out
where there is none, unless they are named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks import report
from benchmarks.suite import MEASUREMENTS, REPOSITORY, RESULTS, Measurement
from plugrt.plugins.native.cuda import available


def measure(measurement: Measurement, *, resume: bool) -> bool:
    """Run one measurement in a process of its own; whether it ended well."""
    if measurement.needs_data and not os.environ.get("PLUGRT_DATA"):
        print(f"{measurement.name}: set PLUGRT_DATA to the folder of models and pictures",
              file=sys.stderr)  # fmt: skip
        return False
    words = [*measurement.words, *(["--resume"] if resume and measurement.is_resumable else [])]
    print(" ".join(["python", *words]), flush=True)
    status = subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=False).returncode
    if status:
        print(f"{measurement.name}: exit status {status}", file=sys.stderr)
    return status == 0


def main() -> int:
    """Command line; status 1 when a measurement failed, or missed what it must show."""
    description = (__doc__ or "").partition(":")[0]
    parser = argparse.ArgumentParser("python -m benchmarks", description=description)
    names = [measurement.name for measurement in MEASUREMENTS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that were measured on this machine already")
    options = parser.parse_args()
    wanted = options.names or [m.name for m in MEASUREMENTS if available() or not m.needs_gpu]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"there is no measurement {unknown[0]!r}; choose from {', '.join(names)}")
    RESULTS.mkdir(exist_ok=True)
    failed = [m.name for m in MEASUREMENTS if m.name in wanted
              and not measure(m, resume=options.resume)]
    report.write()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
