"""Builds `plugrt.core._runtime`: command lists and their replay on the CPU (cffi, API mode)."""

from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from the repository's root, to which sources must be relative.
FOLDER = "core/devices/cpu"
HEADERS = ("runner", "control_flow", "host_callback", "checksum")
HERE = Path(__file__).resolve().parent / "devices" / "cpu"


def declarations(header: str) -> str:
    """A header without its preprocessor lines, as cffi wants it."""
    lines = (HERE / header).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(
    """
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
"""
    + declarations("affinity.h")
    + declarations("cache_state.h")
    + declarations("checksum.h")
    + declarations("command_list.h")
    + declarations("runner.h")
    + declarations("control_flow.h")
    + 'extern "Python" int plugrt_call_python(void *handle, const plugrt_call *call);'
)
ffibuilder.set_source(
    "plugrt.core._runtime",
    "".join(f'#include "{name}.h"\n' for name in HEADERS),
    sources=[f"{FOLDER}/{path.name}" for path in sorted(HERE.glob("*.c"))],
    depends=[f"{FOLDER}/{path.name}" for path in sorted(HERE.glob("*.h"))],
    include_dirs=[FOLDER, "plugins/native"],
    libraries=["m"],
    # -fopenmp shares libgomp, hence its threads, with oneDNN and the kernels.
    extra_compile_args=["-std=gnu11", "-O2", "-fopenmp", "-Wall", "-Wextra"],
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
