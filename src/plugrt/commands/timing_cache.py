"""`plugrt timing-cache`: look into files of measured times, and join them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plugrt import PlugrtError, TimingCache

from .command_parser import Subparsers
from .files import check_target
from .outcome import warn
from .tables import print_table


def add_parser(subparsers: Subparsers) -> None:
    """Add `timing-cache` with its actions."""
    parser = subparsers.add_parser(
        "timing-cache", help="join files of measured times, and tell what they hold"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    merge = actions.add_parser(
        "merge", help="add the times of several files to one",
        description="Add the times of the files IN to the file OUT, which is made if absent. "
        "Where several know a time of the same device, OUT's counts, then that of the first IN.",
    )  # fmt: skip
    merge.add_argument("target", type=Path, metavar="OUT")
    merge.add_argument("sources", type=Path, nargs="+", metavar="IN")
    merge.set_defaults(run=run_merge)
    show = actions.add_parser("show", help="tell the devices of a file")
    show.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(run=run_show)


def run_merge(arguments: argparse.Namespace) -> int:
    """Write OUT; a file IN that cannot be used is an error and changes nothing."""
    check_target(arguments.target, "OUT", makes_folder=True)
    merged = TimingCache()
    for source in arguments.sources:
        merged.merge(_load(source))
    merged.save(arguments.target, warn)
    _print(TimingCache.load(arguments.target), arguments.target)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print one line per device."""
    _print(_load(arguments.file), arguments.file)
    return 0


def _load(path: Path) -> TimingCache:
    path.open("rb").close()  # an absent file is an error here
    problems: list[str] = []
    cache = TimingCache.load(path, tell=problems.append)
    if problems and not cache.devices:
        raise PlugrtError(f"{problems[0].partition(';')[0]}; give a file made by --timing-cache")
    for problem in problems:
        warn(problem)
    return cache


def _print(cache: TimingCache, path: Path) -> None:
    rows = [
        [fingerprint.get("processor", "unknown"), _rest(fingerprint), str(count)]
        for fingerprint, count in cache.devices
    ]
    print_table(sys.stdout, ("processor", "device", "times"), rows, title=str(path))


def _rest(fingerprint: dict[str, str]) -> str:
    hidden = ("processor", "features")
    return ", ".join(f"{k} {v}" for k, v in fingerprint.items() if k not in hidden)
