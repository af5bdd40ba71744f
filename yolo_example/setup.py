"""What pyproject.toml cannot say: the folder map, the packages and the C extension."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

PACKAGE = "yolo_example"
HEADER = Path("..", "plugins", "native", "plugrt_kernel.h")
NOT_PACKAGES = ["build", "build.*", "dist", "include", "tests", "tests.*"]


class SourceDistribution(sdist):
    """Takes plugrt_kernel.h along, which a checkout has beside this folder."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        source = HEADER if HEADER.is_file() else Path("include", HEADER.name)
        if source.is_file():
            target = Path(base_dir, "include")
            target.mkdir(exist_ok=True)
            shutil.copy(source, target)


setup(
    package_dir={PACKAGE: "."},
    packages=[PACKAGE, *(f"{PACKAGE}.{name}" for name in find_packages(exclude=NOT_PACKAGES))],
    cffi_modules=["build_kernels.py:ffibuilder"],
    cmdclass={"sdist": SourceDistribution},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
