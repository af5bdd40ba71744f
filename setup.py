"""What pyproject.toml cannot say: the folder map, the packages and the C extensions."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

PACKAGE_DIR = {
    "plugrt": "src/plugrt",
    "plugrt.core": "core",
    "plugrt.plugins": "plugins",
    "plugrt.plugin_registry": "plugin_registry",
    "plugrt.builtin_layers": "builtin_layers",
}

# Build scripts relative to this file; each defines `ffibuilder`.
CFFI_BUILD_SCRIPTS = [
    "plugins/native/build_native.py",
    "builtin_layers/build_kernels.py",
    "core/build_runtime.py",
]


def packages() -> list[str]:
    """Every package of every mapped folder, by import path."""
    found = []
    for package, folder in PACKAGE_DIR.items():
        found.append(package)
        found += [f"{package}.{name}" for name in find_packages(folder)]
    return found


class ParallelBuild(build_ext):
    """Compiles the sources of an extension beside each other, one for each processor."""

    def build_extension(self, ext: Extension) -> None:
        compiler = self.compiler
        compile_in_turn = compiler.compile

        def compile_all(sources: list[str], *args: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                made = pool.map(lambda source: compile_in_turn([source], *args, **options), sources)
                return [name for objects in made for name in objects]

        compiler.compile = compile_all
        try:
            super().build_extension(ext)
        finally:
            compiler.compile = compile_in_turn


setup(
    cmdclass={"build_ext": ParallelBuild},
    package_dir=PACKAGE_DIR,
    packages=packages(),
    cffi_modules=[f"{script}:ffibuilder" for script in CFFI_BUILD_SCRIPTS if Path(script).exists()],
    options={
        # cffi's API mode keeps to the stable ABI: one wheel serves CPython 3.10 and newer.
        "bdist_wheel": {"py_limited_api": "cp310"},
        # An egg-info folder in the root would shadow the installed entry points.
        "egg_info": {"egg_base": "src"},
    },
)
