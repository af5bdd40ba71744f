/* Running one kernel now, without a recording: packing of weights, and tests.
 * This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_IMMEDIATE_H
#define PLUGRT_IMMEDIATE_H

#include "plugrt_kernel.h"

/* Calls `kernel` with the given buffers as slots.  `message` becomes an empty
 * string unless the kernel explains a failure.  Returns the kernel's status. */
int plugrt_run_kernel(uintptr_t kernel, const void *args, void *const *slots,
    uint32_t slot_count, int thread_count, char *message, size_t capacity);

#endif
