"""Builds `plugrt_twins._kernels`, the C kernels of this package (cffi, API mode)."""

import re
from pathlib import Path

from cffi import FFI

from plugrt.plugins.native import include_dir

KERNEL = re.compile(r"^TWIN_KERNEL\((\w+)\)", re.MULTILINE)

sources = sorted(Path("plugrt_twins").rglob("*.c"))
names = [name for path in sources for name in KERNEL.findall(path.read_text(encoding="utf-8"))]
prototypes = "typedef struct plugrt_call plugrt_call;\n" + "\n".join(
    f"int {name}(const void *args, const plugrt_call *call);" for name in names
)

ffibuilder = FFI()
ffibuilder.cdef(prototypes)
ffibuilder.set_source(
    "plugrt_twins._kernels",
    f"#include <plugrt_kernel.h>\n{prototypes}",
    sources=[path.as_posix() for path in sources],
    depends=[path.as_posix() for path in sorted(Path("plugrt_twins").rglob("*.h"))],
    include_dirs=["plugrt_twins", str(include_dir())],
    libraries=["m"],
    # libgomp is the OpenMP runtime of plugrt and oneDNN: one team of threads for all.
    extra_compile_args=[
        "-std=gnu11", "-O3", "-fopenmp", "-fno-math-errno", "-fno-trapping-math",
        "-ffp-contract=fast", "-fvisibility=hidden", "-Wall", "-Wextra",
    ],
    extra_link_args=["-fopenmp"],
)  # fmt: skip
