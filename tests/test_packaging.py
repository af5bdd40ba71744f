"""The folder map, its mirror for static tools, and what the built distributions hold."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, metadata, version
from pathlib import Path

import pytest

import plugrt

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "plugrt": ROOT / "src/plugrt",
    "plugrt.builtin_layers": ROOT / "builtin_layers",
    "plugrt.core": ROOT / "core",
    "plugrt.plugin_registry": ROOT / "plugin_registry",
    "plugrt.plugins": ROOT / "plugins",
    "yolo_example": ROOT / "yolo_example",
}
EXTENSIONS = {
    "builtin_layers/build_kernels.py": "plugrt/builtin_layers/_kernels.abi3.so",
    "core/build_runtime.py": "plugrt/core/_runtime.abi3.so",
    "plugins/native/build_native.py": "plugrt/plugins/native/_native.abi3.so",
}
GROUPS = {"layers", "kernels", "parsers", "passes", "calibrators", "devices"}
NOT_SOURCE = shutil.ignore_patterns(
    "__pycache__", "*.so", "*.o", "*.egg-info", "build", "dist", "tests"
)


def sources(folder: Path, *suffixes: str) -> list[Path]:
    """Files of these suffixes below `folder`, generated folders left out."""
    found = [path for suffix in suffixes for path in folder.rglob(f"*{suffix}")]
    generated = {"__pycache__", "build", "dist", "tests"}
    return sorted(p for p in found if not generated & set(p.relative_to(folder).parts))


def test_mirror_links_point_at_their_folders() -> None:
    mirror = ROOT / "typings/plugrt"
    expected = {name: ROOT / name for name in ("core", "plugins", "plugin_registry")}
    expected["builtin_layers"] = ROOT / "builtin_layers"
    for path in (ROOT / "src/plugrt").iterdir():
        if path.name != "__pycache__" and path.suffix != ".so":
            expected[path.name] = path
    actual = {path.name: path for path in mirror.iterdir() if path.is_symlink()}

    missing = sorted(expected.keys() - actual.keys())
    assert not missing, f"add links: cd typings/plugrt; ln -s ../../src/plugrt/NAME for {missing}"
    assert actual.keys() == expected.keys()
    for name, link in actual.items():
        assert not link.readlink().is_absolute()
        assert link.resolve() == expected[name].resolve()
    assert (ROOT / "typings/yolo_example").resolve() == FOLDERS["yolo_example"]


@pytest.mark.parametrize("package", FOLDERS)
def test_every_code_folder_is_a_package(package: str) -> None:
    modules = sources(FOLDERS[package], ".py", ".pyi")
    assert modules
    bare = {str(p.parent) for p in modules if not (p.parent / "__init__.py").is_file()}
    assert not bare


def test_root_holds_no_egg_info() -> None:
    assert not list(ROOT.glob("*.egg-info"))


def test_versions_agree() -> None:
    assert version("plugrt") == plugrt.__version__
    assert version("plugrt-yolo") == plugrt.__version__


def test_licence_and_python_are_stated() -> None:
    for name in ("plugrt", "plugrt-yolo"):
        assert metadata(name)["License-Expression"] == "Apache-2.0"
        assert metadata(name)["Requires-Python"] == ">=3.10"


def test_entry_points_use_known_groups_only() -> None:
    groups = {
        entry.group
        for name in ("plugrt", "plugrt-yolo")
        for entry in distribution(name).entry_points
    }
    assert "console_scripts" in groups
    assert groups <= {f"plugrt.{group}" for group in GROUPS} | {"console_scripts"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels of both distributions, each built from its sdist out of a clean copy."""
    output = tmp_path_factory.mktemp("wheels")
    copy = output / "sources"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    for folder in FOLDERS.values():
        shutil.copytree(folder, copy / folder.relative_to(ROOT), ignore=NOT_SOURCE)
    for source in (copy, copy / "yolo_example"):
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", output, source]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return {path.name.split("-")[0]: path for path in output.glob("*.whl")}


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheels_hold_one_top_level_package_each(wheels: dict[str, Path]) -> None:
    for wheel, package in (("plugrt", "plugrt"), ("plugrt_yolo", "yolo_example")):
        tops = {name.split("/")[0] for name in names(wheels[wheel])}
        assert tops == {package, f"{wheel}-{plugrt.__version__}.dist-info"}


@pytest.mark.parametrize("package", FOLDERS)
def test_wheels_hold_every_source(package: str, wheels: dict[str, Path]) -> None:
    held = names(wheels["plugrt_yolo" if package == "yolo_example" else "plugrt"])
    folder = FOLDERS[package]
    suffixes = (".py", ".pyi", ".h", ".c", ".cu", ".cuh", "py.typed", ".cfg", ".names", ".weights")
    for source in sources(folder, *suffixes):
        assert f"{package.replace('.', '/')}/{source.relative_to(folder)}" in held


def test_extensions_keep_to_the_stable_abi(wheels: dict[str, Path]) -> None:
    expected = {module for script, module in EXTENSIONS.items() if (ROOT / script).exists()}
    assert {name for name in names(wheels["plugrt"]) if name.endswith(".so")} == expected
    assert wheels["plugrt"].name.startswith(f"plugrt-{plugrt.__version__}-cp310-abi3-")
