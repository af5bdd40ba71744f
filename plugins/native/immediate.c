/* Running one kernel now, without a recording. */
#include "immediate.h"

int plugrt_run_kernel(uintptr_t kernel, const void *args, void *const *slots,
    uint32_t slot_count, int thread_count, char *message, size_t capacity)
{
    plugrt_call call = {
        .abi_version = PLUGRT_KERNEL_ABI_VERSION,
        .slot_count = slot_count,
        .slots = slots,
        .thread_count = thread_count,
        .message = message,
        .message_capacity = capacity,
    };
    if (capacity > 0)
        message[0] = '\0';
    return ((plugrt_kernel)kernel)(args, &call);
}
