"""A toy model format with two parsers, plans made by the network API, and refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt.cli import main
from plugrt.plugin_registry import Registry
from plugrt.plugins import ModelError, ParsedModel, ParserPlugin, attribute

Command = Callable[..., str]


class ToyParser(ParserPlugin):
    """`TOY`, then one number per line: the slopes of a chain of LeakyReLU layers."""

    name = "toy"

    cut_off = attribute(int, 0, "keep 100 % of the layers, or N", allowed=lambda n: n >= 0)
    gain = attribute(float, 1.0, "factor of the input")
    double = attribute(bool, False, "two outputs")
    sizes = attribute(tuple[int, ...], (4,), "input sizes without the batch")
    threads = attribute(str, "", "clashes with an option of the command")
    kind = attribute(str, "plain", "how it is built", allowed=("plain", "fancy"))

    @classmethod
    def accepts(cls, path: Path, head: bytes) -> bool:
        return head.startswith((b"TOY", b"BOTH"))

    def parse(self, model: Path, weights: Path | None, network: Any) -> ParsedModel:
        lines = model.read_text().splitlines()[1:]
        x = network.add_input("x", "float32", ["N", *self.sizes])
        gain = np.full(self.sizes, self.gain, np.float32)
        y = network.add_layer("Multiply", [x, gain], name="gain").output
        for number, line in enumerate(lines[: self.cut_off or None], start=2):
            try:
                slope = float(line)
            except ValueError:
                raise ModelError(f"{model}, line {number}: {line!r} is no slope") from None
            y = network.add_layer("LeakyReLU", [y], name=f"leaky{number}", slope=slope).output
        network.mark_output(y, "y")
        if self.double:
            network.mark_output(x, "a/b x")
        return ParsedModel(network, [f"{self.kind}: {len(lines)} slopes"])


class OtherParser(ParserPlugin):
    """Reads nothing of use; shares an option's name with ToyParser."""

    name = "other"

    cut_off = attribute(str, "", "the section to stop at")
    level = attribute(int, doc="how much")

    @classmethod
    def accepts(cls, path: Path, head: bytes) -> bool:
        return head.startswith((b"OTHER", b"BOTH"))

    def parse(self, model: Path, weights: Path | None, network: Any) -> ParsedModel:
        raise ModelError(f"{model}: cut_off={self.cut_off!r} level={self.level}")


@pytest.fixture(autouse=True)
def toy_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers, as if they were installed."""
    registry = Registry.of([ToyParser, OtherParser])
    monkeypatch.setattr(Registry, "_default", registry)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A toy model."""
    path = tmp_path / "model.toy"
    path.write_text("TOY\n0.1\n0.2\n0.3\n")
    return path


def small_network() -> plugrt.Network:
    """Convolution, leaky, a residual and a second output; the batch is open."""
    generator = np.random.default_rng(1)
    network = plugrt.Network("small")
    image = network.add_input("image", "float32", ["N", 16, 8, 8])
    x = image
    for number in range(3):
        weights = generator.standard_normal((16, 16, 3, 3)).astype(np.float32) * 0.1
        y = network.add_layer(
            "Convolution", [x, weights], name=f"conv{number}", padding=(1, 1, 1, 1)
        ).output
        y = network.add_layer("LeakyReLU", [y], name=f"leaky{number}", slope=0.1).output
        x = network.add_layer("Add", [x, y], name=f"add{number}").output
    network.mark_output(x, "features")
    network.mark_output(network.add_layer("Sigmoid", [y], name="gate").output, "gate/ü")
    return network


@pytest.fixture(scope="session")
def small_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of `small_network` for batches up to 4."""
    path = tmp_path_factory.mktemp("plans") / "small.plan"
    config = plugrt.BuilderConfig(max_batch_size=4, threads=2)
    with plugrt.build(small_network(), config) as engine:
        engine.save(path)
    return path


@pytest.fixture
def succeeds(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line that must succeed; what it printed to stdout."""

    def run(*words: object) -> str:
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line that must be a user error; its one line on stderr."""

    def run(*words: object) -> str:
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert status == 2, printed
        errors = [line for line in printed.err.splitlines() if ": warning: " not in line]
        assert len(errors) == 1, printed.err
        assert errors[0].startswith("plugrt: error: ")
        assert printed.err.endswith("\n")
        assert "Traceback" not in printed.err
        return errors[0].removeprefix("plugrt: error: ")

    return run
