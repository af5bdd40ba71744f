"""Third-party distributions in an environment of their own: found, sound, and missed when gone."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

TWINS = (
    "Add", "AveragePooling", "Concatenation", "Convolution", "Int8Scale", "LeakyReLU",
    "MaxPooling", "Mish", "Sum", "Yolo",
)  # fmt: skip

SAVE = """
import sys
import plugrt

network = plugrt.Network()
x = network.add_input("x", "float32", [1, 4])
network.mark_output(network.add_layer("NumpyOnly.Softsign", [x], name="soft").output)
with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
    engine.save(sys.argv[1])
"""

RUN = """
import sys
import numpy as np
import plugrt

try:
    engine = plugrt.Engine.load(sys.argv[1])
except plugrt.PlanError as error:
    sys.exit(f"PlanError: {error}")
with engine, engine.create_context() as context:
    result = context.execute({"x": np.array([[-3, 0, 1, 3]], np.float32)})["soft"]
    print(result.tolist())
"""


class Environment:
    """A fresh virtual environment that sees this one's packages."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        packages = self.run("import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        outer = sysconfig.get_path("purelib")
        # addsitedir, and not just a path: it follows links to editable installations.
        link = f"import site; site.addsitedir({outer!r})\n"
        Path(packages, "outer_environment.pth").write_text(link)

    def run(self, code: str, *arguments: str) -> str:
        """Output of a program that must succeed."""
        result = self.start("-c", code, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A finished run of the environment's interpreter."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PLUGRT"))}
        return subprocess.run(
            [str(self.python), *arguments], capture_output=True, text=True, env=variables,
            check=False,
        )  # fmt: skip

    def install(self, wheel: Path) -> None:
        """Install a distribution."""
        self._pip("install", "--no-index", "--no-deps", str(wheel))

    def uninstall(self, name: str) -> None:
        """Uninstall a distribution."""
        self._pip("uninstall", "--yes", name)

    def _pip(self, action: str, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        command = [*pip, "--python", str(self.python), action, "--quiet", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def listed(self) -> dict[str, dict[str, str]]:
        """What `plugrt plugins list` shows of layers, by name."""
        result = self.start("-m", "plugrt", "plugins", "list", "--kind", "layers", "--json")
        assert result.returncode == 0, result.stderr
        return {item["name"]: item for item in json.loads(result.stdout)}


@pytest.fixture(scope="module")
def environment(
    third_party_wheels: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """With plugrt-twins installed."""
    made = Environment(tmp_path_factory.mktemp("environment"))
    assert not any(name.startswith("Twins.") for name in made.listed())
    made.install(third_party_wheels[0])
    return made


def test_installing_the_twins_lists_them(environment: Environment) -> None:
    listed = environment.listed()
    for name in TWINS:
        described = listed[f"Twins.{name}"]
        assert (described["distribution"], described["version"]) == ("plugrt-twins", "1.0.0")
        assert described["state"] == "available"  # and so not imported


def test_nothing_installed_is_quarantined(environment: Environment) -> None:
    result = environment.start("-m", "plugrt", "plugins", "doctor")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", TWINS)
def test_conformance(environment: Environment, name: str) -> None:
    result = environment.start("-m", "plugrt", "plugins", "check", f"Twins.{name}")
    assert result.returncode == 0, result.stdout + result.stderr


def test_plan_of_an_uninstalled_layer_names_its_distribution(
    environment: Environment, third_party_wheels: list[Path], tmp_path: Path
) -> None:
    plan = str(tmp_path / "softsign.plan")
    environment.install(third_party_wheels[1])
    environment.run(SAVE, plan)
    assert json.loads(environment.run(RUN, plan)) == [[-0.75, 0, 0.5, 0.75]]

    environment.uninstall("plugrt-numpy-layer")
    result = environment.start("-c", RUN, plan)

    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("PlanError: ")
    assert "NumpyOnly.Softsign" in line
    assert "plugrt-numpy-layer" in line
    assert "1.2.3" in line


@pytest.mark.slow
def test_wheels_in_an_environment_with_nothing_else(
    third_party_wheels: list[Path], tmp_path: Path
) -> None:
    """As a user does it: plugrt, its dependencies from the index, the twins; nothing shared."""
    checkout = Path(__file__).parents[2]
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True, with_pip=True)
    python = [str(folder / "bin" / "python"), "-m"]
    install = [*python, "pip", "--disable-pip-version-check", "install", "--quiet"]
    constraints = ["--constraint", str(checkout / "constraints.txt")]
    subprocess.run([*install, *constraints, str(checkout), *map(str, third_party_wheels)],
                   check=True)  # fmt: skip
    listing = [*python, "plugrt", "plugins", "list", "--json"]
    listed = json.loads(subprocess.run(listing, check=True, capture_output=True).stdout)
    assert {f"Twins.{name}" for name in TWINS} <= {item["name"] for item in listed}
    for name in ("Twins.LeakyReLU", "NumpyOnly.Softsign"):
        subprocess.run([*python, "plugrt", "plugins", "check", name], check=True)
