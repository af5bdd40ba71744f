"""The measurements of docs/performance.md: what is run, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "performance.md"


@dataclass(frozen=True)
class Measurement:
    """One program of this folder. It writes `results/NAME.json`."""

    name: str
    options: tuple[str, ...] = ()
    needs_data: bool = False
    """Whether PLUGRT_DATA must name the folder of models and pictures."""

    needs_gpu: bool = False

    is_resumable: bool = False
    """Whether `--resume` leaves out what the results file has already."""

    @property
    def file(self) -> str:
        """Name of the results file."""
        return f"{self.name}.json"

    @property
    def words(self) -> list[str]:
        """The command line behind `python`, from the root of the repository."""
        target = (RESULTS / self.file).relative_to(REPOSITORY)
        return ["-m", f"benchmarks.{self.name}", *self.options, "--json", target.as_posix()]


MEASUREMENTS = (
    Measurement("latency", is_resumable=True),
    Measurement("throughput", is_resumable=True),
    Measurement("memory", is_resumable=True),
    Measurement("preparation", is_resumable=True),
    Measurement("plugin_tax", ("--seconds", "120"), needs_data=True),
    Measurement("interpreter_share"),
    Measurement("arena"),
    Measurement("detection_overhead", needs_data=True),
    Measurement("gpu_latency", needs_gpu=True, is_resumable=True),
    Measurement("gpu_layers", needs_gpu=True),
    Measurement("gpu_detection", needs_gpu=True),
    Measurement("gpu_throughput", needs_gpu=True),
    Measurement("gpu_lanes", needs_gpu=True),
    Measurement("gpu_preparation", needs_gpu=True),
    Measurement("gpu_plugin_tax", needs_data=True, needs_gpu=True),
)
