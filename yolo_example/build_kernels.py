"""Builds `yolo_example._kernels`, the C of the Darknet layers (cffi, API mode)."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from its own folder, to which sources must be relative.
HERE = Path(__file__).resolve().parent
FOLDER = "layers"

# The public header has an inline function, which cffi cannot parse.
KERNEL_ABI = """
typedef struct plugrt_call plugrt_call;
typedef struct plugrt_ref {
    uint32_t slot;
    uint32_t reserved;
    uint64_t offset;
} plugrt_ref;
"""

# No -march: functions are cloned for several instruction sets. No -ffast-math: NaN must come
# out as NaN. -fopenmp shares libgomp, hence its threads, with plugrt.
COMPILE_ARGUMENTS = [
    "-std=gnu11",
    "-O3",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
]


def kernel_include_dir() -> str:
    """The folder of plugrt_kernel.h: beside us in a checkout, in a source distribution a copy,
    else the installed plugrt's."""
    for folder in (HERE.parent / "plugins" / "native", HERE / "include"):
        if (folder / "plugrt_kernel.h").is_file():
            return str(folder)
    try:
        from plugrt.plugins.native import include_dir
    except ImportError:
        raise SystemExit(
            "plugrt_kernel.h is not found: install plugrt first and build with "
            "--no-build-isolation, or build from a checkout of plugrt"
        ) from None
    return str(include_dir())


def declarations(header: str) -> str:
    """A header without its preprocessor lines, as cffi wants it."""
    lines = (HERE / FOLDER / header).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(KERNEL_ABI + declarations("kernels.h"))
ffibuilder.set_source(
    "yolo_example._kernels",
    '#include "kernels.h"',
    sources=[f"{FOLDER}/{path.name}" for path in sorted((HERE / FOLDER).glob("*.c"))],
    depends=[f"{FOLDER}/{path.name}" for path in sorted((HERE / FOLDER).glob("*.h"))],
    include_dirs=[FOLDER, kernel_include_dir()],
    libraries=["m"],
    extra_compile_args=COMPILE_ARGUMENTS,
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
