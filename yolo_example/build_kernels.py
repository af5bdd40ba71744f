"""Builds `yolo_example._kernels`, all C of this package (cffi, API mode)."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from its own folder, to which sources must be relative.
HERE = Path(__file__).resolve().parent
FOLDERS = ("layers", "preparation")
HEADERS = (
    "layers/kernels.h",
    "layers/boxes.h",
    "layers/boxes_kernel.h",
    "preparation/arrow.h",
    "preparation/prepare_kernel.h",
    "preparation/resizing.h",
)

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
    lines = (HERE / header).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def files(pattern: str) -> list[str]:
    """The files of our folders that match, relative to this one."""
    found = [path for folder in FOLDERS for path in sorted((HERE / folder).glob(pattern))]
    return [path.relative_to(HERE).as_posix() for path in found]


ffibuilder = FFI()
ffibuilder.cdef(KERNEL_ABI + "\n".join(map(declarations, HEADERS)))
ffibuilder.set_source(
    "yolo_example._kernels",
    "\n".join(f'#include "{header}"' for header in HEADERS),
    sources=files("*.c"),
    depends=files("*.h"),
    include_dirs=[".", *FOLDERS, kernel_include_dir()],
    libraries=["m"],
    extra_compile_args=COMPILE_ARGUMENTS,
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
