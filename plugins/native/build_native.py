"""Builds `plugrt.plugins.native._native`, the C behind the native services (cffi, API mode)."""

from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from the repository's root, to which sources must be relative.
FOLDER = "plugins/native"
HERE = Path(__file__).resolve().parent

# Headers that Python needs to see. They hold declarations and includes, nothing else.
DECLARED = [
    "threads.h",
    "immediate.h",
    "onednn_api.h",
    "onednn_execution.h",
    "pointwise.h",
    "copying.h",
]

# The public header has an inline function, which cffi cannot parse.
KERNEL_ABI = """
typedef struct plugrt_call {
    uint32_t abi_version;
    uint32_t slot_count;
    void *const *slots;
    int32_t thread_count;
    int32_t reserved;
    char *message;
    size_t message_capacity;
} plugrt_call;
typedef struct plugrt_ref {
    uint32_t slot;
    uint32_t reserved;
    uint64_t offset;
} plugrt_ref;
typedef int (*plugrt_kernel)(const void *args, const plugrt_call *call);
"""

# No global -march: the code picks AVX-512 or AVX2 at run time. No -ffast-math: infinities and
# NaN must come out as in NumPy. -fopenmp shares libgomp, hence its threads, with oneDNN.
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


def declarations(header: str) -> str:
    """A header without its preprocessor lines, as cffi wants it."""
    lines = (HERE / header).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(KERNEL_ABI + "\n".join(declarations(header) for header in DECLARED))
ffibuilder.set_source(
    "plugrt.plugins.native._native",
    "\n".join(f'#include "{header}"' for header in ["plugrt_kernel.h", *DECLARED]),
    sources=[f"{FOLDER}/{path.name}" for path in sorted(HERE.glob("*.c"))],
    depends=[f"{FOLDER}/{path.name}" for path in sorted(HERE.glob("*.h"))],
    include_dirs=[FOLDER],
    libraries=["m", "dl"],
    extra_compile_args=COMPILE_ARGUMENTS,
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
