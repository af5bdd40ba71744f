/* Running a oneDNN primitive as a command of a recording. */
#include "onednn_execution.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUCCESS = 0, STREAM_IN_ORDER = 1 };

struct moving {
    int argument;
    onednn_memory memory;
    void *address;
    plugrt_ref ref;
};

struct plugrt_onednn_execution {
    const onednn_api *api;
    onednn_primitive primitive;
    onednn_stream stream;
    int argument_count;
    int moving_count;
    uint32_t slots_needed;
    onednn_argument *arguments;
    struct moving *moving;
};

static int add_argument(plugrt_onednn_execution *execution, onednn_engine engine,
    const plugrt_onednn_binding *binding)
{
    const onednn_api *api = execution->api;
    onednn_memory memory;
    int status = api->memory_create(&memory, binding->desc, engine, binding->constant);
    if (status != SUCCESS)
        return status;
    onednn_argument *argument = &execution->arguments[execution->argument_count++];
    argument->argument = binding->argument;
    argument->memory = memory;
    if (binding->constant == NULL) {
        struct moving *moving = &execution->moving[execution->moving_count++];
        moving->argument = binding->argument;
        moving->memory = memory;
        moving->ref.slot = binding->slot;
        moving->ref.offset = binding->offset;
        if (binding->slot >= execution->slots_needed)
            execution->slots_needed = binding->slot + 1;
    }
    return SUCCESS;
}

plugrt_onednn_execution *plugrt_onednn_execution_create(const onednn_api *api,
    onednn_engine engine, onednn_primitive primitive, int count,
    const plugrt_onednn_binding *bindings, char *message, size_t capacity)
{
    plugrt_onednn_execution *execution = calloc(1, sizeof *execution);
    if (execution == NULL) {
        snprintf(message, capacity, "out of memory");
        return NULL;
    }
    execution->api = api;
    execution->primitive = primitive;
    execution->arguments = calloc((size_t)count, sizeof *execution->arguments);
    execution->moving = calloc((size_t)count, sizeof *execution->moving);
    if (execution->arguments == NULL || execution->moving == NULL) {
        snprintf(message, capacity, "out of memory");
        goto failed;
    }
    int status = api->stream_create(&execution->stream, engine, STREAM_IN_ORDER);
    if (status != SUCCESS) {
        execution->stream = NULL;
        snprintf(message, capacity, "no stream: oneDNN status %d", status);
        goto failed;
    }
    for (int i = 0; i < count; i++) {
        status = add_argument(execution, engine, &bindings[i]);
        if (status != SUCCESS) {
            snprintf(message, capacity, "no memory for argument %d: oneDNN status %d",
                bindings[i].argument, status);
            goto failed;
        }
    }
    return execution;

failed:
    plugrt_onednn_execution_destroy(execution);
    return NULL;
}

void plugrt_onednn_execution_destroy(plugrt_onednn_execution *execution)
{
    if (execution == NULL)
        return;
    for (int i = 0; i < execution->argument_count; i++)
        execution->api->memory_destroy(execution->arguments[i].memory);
    if (execution->stream != NULL)
        execution->api->stream_destroy(execution->stream);
    free(execution->arguments);
    free(execution->moving);
    free(execution);
}

int plugrt_onednn_execute(const void *args, const plugrt_call *call)
{
    plugrt_onednn_execution *execution = *(plugrt_onednn_execution *const *)args;
    const onednn_api *api = execution->api;

    if (call->slot_count < execution->slots_needed) {
        snprintf(call->message, call->message_capacity,
            "the call has %u slots, the primitive was recorded with %u",
            (unsigned)call->slot_count, (unsigned)execution->slots_needed);
        return 1;
    }
    for (int i = 0; i < execution->moving_count; i++) {
        struct moving *moving = &execution->moving[i];
        void *address = plugrt_address(call, moving->ref);
        if (address != moving->address) {
            int status = api->memory_set_data_handle(moving->memory, address);
            if (status != SUCCESS) {
                snprintf(call->message, call->message_capacity,
                    "argument %d cannot move: oneDNN status %d",
                    moving->argument, status);
                return status;
            }
            moving->address = address;
        }
    }

    /* oneDNN asks OpenMP for the team size instead of taking it as an argument. */
    int previous = omp_get_max_threads();
    if (previous != call->thread_count)
        omp_set_num_threads(call->thread_count);
    int status = api->primitive_execute(execution->primitive, execution->stream,
        execution->argument_count, execution->arguments);
    if (previous != call->thread_count)
        omp_set_num_threads(previous);
    if (status != SUCCESS)
        snprintf(call->message, call->message_capacity, "oneDNN failed with status %d", status);
    return status;
}
