"""Run every measurement, then rewrite docs/performance.md: python -m benchmarks [NAME...]

Some minutes on a machine that does nothing else. A measurement that fails keeps its former
results, and the page is written from what there is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks import report
from benchmarks.suite import MEASUREMENTS, REPOSITORY, RESULTS, Measurement


def measure(measurement: Measurement) -> bool:
    """Run one measurement in a process of its own; whether it ended well."""
    if measurement.needs_data and not os.environ.get("PLUGRT_DATA"):
        print(f"{measurement.name}: set PLUGRT_DATA to the folder of models and pictures",
              file=sys.stderr)  # fmt: skip
        return False
    command = [sys.executable, *measurement.words]
    print(" ".join(["python", *measurement.words]), flush=True)
    status = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    if status:
        print(f"{measurement.name}: exit status {status}", file=sys.stderr)
    return status == 0


def main() -> int:
    """Command line; status 1 when a measurement failed, or missed what it must show."""
    description = (__doc__ or "").partition(":")[0]
    parser = argparse.ArgumentParser("python -m benchmarks", description=description)
    names = [measurement.name for measurement in MEASUREMENTS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    wanted = parser.parse_args().names or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"there is no measurement {unknown[0]!r}; choose from {', '.join(names)}")
    RESULTS.mkdir(exist_ok=True)
    failed = [m.name for m in MEASUREMENTS if m.name in wanted and not measure(m)]
    report.write()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
