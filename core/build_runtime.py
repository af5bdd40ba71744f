"""Builds `plugrt.core._runtime`: command lists and their replay on the CPU (cffi, API mode)."""

from pathlib import Path

from cffi import FFI

# cffi_modules runs this file from the repository's root, to which sources must be relative.
FOLDERS = ("core/devices/cpu", "core/devices/cuda")
HEADERS = ("runner", "control_flow", "host_callback", "checksum", "host_copies")
DEVICES = Path(__file__).resolve().parent / "devices"


def files(pattern: str) -> list[str]:
    """Paths of all folders' files, from the repository's root."""
    return [
        f"{folder}/{path.name}"
        for folder in FOLDERS
        for path in sorted((DEVICES / Path(folder).name).glob(pattern))
    ]


def declarations(header: str) -> str:
    """A header without its preprocessor lines, as cffi wants it."""
    (path,) = DEVICES.glob(f"*/{header}")
    lines = path.read_text(encoding="utf-8").splitlines()
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
    + declarations("host_copies.h")
    + 'extern "Python" int plugrt_call_python(void *handle, const plugrt_call *call);'
)
ffibuilder.set_source(
    "plugrt.core._runtime",
    "".join(f'#include "{name}.h"\n' for name in HEADERS),
    sources=files("*.c"),
    depends=files("*.h"),
    include_dirs=[*FOLDERS, "plugins/native"],
    libraries=["m"],
    # -fopenmp shares libgomp, hence its threads, with oneDNN and the kernels.
    extra_compile_args=["-std=gnu11", "-O2", "-fopenmp", "-Wall", "-Wextra"],
    extra_link_args=["-fopenmp"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
