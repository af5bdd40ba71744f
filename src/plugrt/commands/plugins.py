"""`plugrt plugins`: list, show, examine and check plug-ins, and type their helpers."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from plugrt.plugin_registry import KINDS, PluginDescription, Registry
from plugrt.plugins import PluginError

from .command_parser import Subparsers
from .files import check_target, write_text

DEFAULT_TIME_LIMIT = 300.0


def add_parser(subparsers: Subparsers) -> None:
    """Add `plugins` and its subcommands; each sets `run`, a function of the arguments that
    returns the exit status: 0 all is well, 1 something is ill or failed, 2 wrong usage."""
    parser = subparsers.add_parser("plugins", help="list, show, examine and check plug-ins")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="what is installed; imports nothing")
    listing.add_argument("--kind", choices=tuple(KINDS), help="only this kind")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=run_list)

    show = actions.add_parser("show", help="inputs, attributes and capabilities of a plug-in")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=run_show)

    doctor = actions.add_parser("doctor", help="import everything and report what is ill")
    doctor.set_defaults(run=run_doctor)

    check = actions.add_parser("check", help="run the conformance kit on layers")
    check.add_argument("names", metavar="NAME", nargs="+", help="layer types; `all` for every one")
    check.add_argument(
        "--time-limit", type=_seconds, default=DEFAULT_TIME_LIMIT, metavar="SECONDS",
        help=f"for each layer (default {DEFAULT_TIME_LIMIT:g})",
    )  # fmt: skip
    check.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu",
        help="where kernels run (default cpu); on cuda only the checks of kernels",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(run=run_check)

    stubs = actions.add_parser("stubs", help="write typed signatures of the helpers add_...")
    stubs.add_argument(
        "--distribution", metavar="NAME", help="only for layers of this distribution"
    )
    stubs.add_argument(
        "--output", type=_stub_file, metavar="FILE.pyi", help="default: standard output"
    )
    stubs.set_defaults(run=run_stubs)


def run_list(arguments: argparse.Namespace) -> int:
    """Print every plug-in with its state and origin."""
    found = Registry.default().descriptions(arguments.kind)
    if arguments.json:
        json.dump([item.as_dict() for item in found], sys.stdout, indent=2)
        print()
        return 0
    from .tables import print_table

    rows = [[d.kind, d.name, d.state, d.distribution or "", d.version or ""] for d in found]
    print_table(sys.stdout, ("kind", "name", "state", "distribution", "version"), rows)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print details of every plug-in of this name. Raises PluginError for an unknown one."""
    from .plugin_details import show

    registry = Registry.default()
    loaded = True
    for number, description in enumerate(_named(registry, arguments.name)):
        if number:
            print()
        loaded = show(sys.stdout, registry, description) and loaded
    return 0 if loaded else 1


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print the state of the installation and of every plug-in."""
    from .doctor import examine

    return 0 if examine(sys.stdout, Registry.default()) else 1


def run_check(arguments: argparse.Namespace) -> int:
    """Run the conformance kit, each layer in a process of its own.

    Raises PluginError for an unknown layer.
    """
    from plugrt.testing.report import print_report
    from plugrt.testing.subprocess_runner import check_in_subprocess

    registry = Registry.default()
    names = list(dict.fromkeys(arguments.names))
    if names == ["all"]:
        names = registry.names("layers")
    for name in names:
        registry.describe("layers", name)
    reports = []
    for name in names:
        report = check_in_subprocess(
            name, time_limit=arguments.time_limit, device=arguments.device
        )
        reports.append(report)
        if not arguments.json:
            print_report(sys.stdout, report)
    if arguments.json:
        json.dump([report.as_dict() for report in reports], sys.stdout, indent=2)
        print()
    return 0 if all(report.passed for report in reports) else 1


def run_stubs(arguments: argparse.Namespace) -> int:
    """Write the stub module of the layers' helpers.

    Raises PluginError for a distribution without layers.
    """
    from .layer_stubs import stub_module

    if arguments.output is not None:
        check_target(arguments.output, "--output")
    text = stub_module(Registry.default(), arguments.distribution)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.output, text)
    return 0


def _named(registry: Registry, name: str) -> list[PluginDescription]:
    kinds = [kind for kind in KINDS if name in registry.names(kind)]
    if kinds:
        return [registry.describe(kind, name) for kind in kinds]
    from plugrt.plugin_registry.suggestions import closest

    near = closest(name, {other for kind in KINDS for other in registry.names(kind)})
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see `plugrt plugins list`"
    raise PluginError(f"there is no plug-in {name!r}; {hint}")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time; give seconds above zero")
    return value


def _stub_file(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".pyi":
        raise argparse.ArgumentTypeError(f"{text} is no stub file; give a name ending in .pyi")
    return path
