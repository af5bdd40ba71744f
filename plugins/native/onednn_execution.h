/* Running a oneDNN primitive as a command of a recording.
 *
 * The immutable primitive is shared; an execution holds what one recording
 * changes between calls: the memory objects and the addresses they point at.
 * This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_ONEDNN_EXECUTION_H
#define PLUGRT_ONEDNN_EXECUTION_H

#include "onednn_api.h"
#include "plugrt_kernel.h"

typedef struct plugrt_onednn_execution plugrt_onednn_execution;

/* One argument of a primitive: a place in a slot of the call, or, where
 * `constant` is not NULL, a fixed address that outlives the execution. */
typedef struct {
    int argument;
    uint32_t slot;
    uint64_t offset;
    void *constant;
    onednn_const_memory_desc desc;
} plugrt_onednn_binding;

/* Returns NULL with a one-line reason in `message` when oneDNN refuses.  The
 * caller keeps `api` and `primitive` alive until after the destruction. */
plugrt_onednn_execution *plugrt_onednn_execution_create(const onednn_api *api,
    onednn_engine engine, onednn_primitive primitive, int count,
    const plugrt_onednn_binding *bindings, char *message, size_t capacity);

void plugrt_onednn_execution_destroy(plugrt_onednn_execution *execution);

/* The kernel; `args` is the address of an execution.  One call at a time. */
int plugrt_onednn_execute(const void *args, const plugrt_call *call);

#endif
