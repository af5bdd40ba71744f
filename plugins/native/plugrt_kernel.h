/* plugrt_kernel.h: the ABI between a plug-in's native kernels and plugrt.
 *
 * A kernel is one C function.  A recordable layer puts kernels on a stream
 * once per context and shape; from then on the runtime replays them without
 * returning to Python and without holding its global lock.
 *
 * Versioning: a major change of this file changes PLUGRT_KERNEL_ABI_VERSION.
 * Fields are only ever appended to plugrt_call, so a kernel built against an
 * older header keeps working as long as the version is equal.
 */
#ifndef PLUGRT_KERNEL_H
#define PLUGRT_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLUGRT_KERNEL_ABI_VERSION 1

/* Everything that changes from one call to the next. */
typedef struct plugrt_call {
    uint32_t abi_version;    /* PLUGRT_KERNEL_ABI_VERSION of the runtime */
    uint32_t slot_count;     /* number of entries in slots */
    void *const *slots;      /* base address of every buffer bound to this call */
    int32_t thread_count;    /* OpenMP team size this call may use, at least 1 */
    int32_t reserved;
    char *message;           /* where a failing kernel may explain itself ... */
    size_t message_capacity; /* ... in one NUL-terminated line of this size */
} plugrt_call;

/* Where a tensor lies: a byte offset in one of the call's buffers.  Kernels
 * keep references, never addresses: inputs and outputs move between calls. */
typedef struct plugrt_ref {
    uint32_t slot;
    uint32_t reserved;
    uint64_t offset;
} plugrt_ref;

/* A kernel.  `args` is the block given to stream.launch(), copied by the
 * command list and aligned to 16 bytes; it must not be written to.  Returns 0,
 * or a non-zero status that stops the list and is reported with the name of
 * the layer.  A kernel allocates nothing and never blocks. */
typedef int (*plugrt_kernel)(const void *args, const plugrt_call *call);

static inline void *plugrt_address(const plugrt_call *call, plugrt_ref ref)
{
    return (char *)call->slots[ref.slot] + ref.offset;
}

#ifdef __cplusplus
}
#endif
#endif
