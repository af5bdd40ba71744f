"""Builds `plugrt.builtin_layers._kernels`, the C kernels of the layer folders (cffi, API mode)."""

import re
from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from the repository's root, to which sources must be relative.
FOLDER = "builtin_layers"
NATIVE = "plugins/native"
HERE = Path(__file__).resolve().parent

KERNEL = re.compile(r"^LAYER_KERNEL\((\w+)\)", re.MULTILINE)

# The public header has an inline function, which cffi cannot parse.
CALL = "typedef struct plugrt_call plugrt_call;\n"

# No global -march: kernels are cloned for AVX-512 and AVX2 and chosen at run time. No
# -ffast-math: infinities and NaN must come out as in NumPy. -fopenmp shares libgomp, hence its
# threads, with the other kernels and oneDNN.
COMPILE_ARGUMENTS = [
    "-std=gnu11",
    "-O3",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
]


def relative(path: Path) -> str:
    """A file of this folder as the build wants it."""
    return f"{FOLDER}/{path.relative_to(HERE).as_posix()}"


def kernel_names(sources: list[Path]) -> list[str]:
    """The kernels that the sources define, by their LAYER_KERNEL lines."""
    return [name for path in sources for name in KERNEL.findall(path.read_text(encoding="utf-8"))]


sources = sorted([*HERE.glob("*.c"), *HERE.glob("*/*.c")])
headers = sorted([*HERE.glob("*.h"), *HERE.glob("*/*.h")])
prototypes = [
    f"int {name}(const void *args, const plugrt_call *call);" for name in kernel_names(sources)
]

ffibuilder = FFI()
ffibuilder.cdef(CALL + "extern int plugrt_instruction_sets;\n" + "\n".join(prototypes))
ffibuilder.set_source(
    "plugrt.builtin_layers._kernels",
    "\n".join(['#include "layer_kernel.h"', *prototypes]),
    sources=[relative(path) for path in sources],
    depends=[*map(relative, headers), f"{NATIVE}/plugrt_kernel.h"],
    include_dirs=[FOLDER, NATIVE],
    libraries=["m"],
    extra_compile_args=COMPILE_ARGUMENTS,
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
