#include "command_list.h"
#include "caller_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ARGUMENT_ALIGNMENT 16

typedef struct {
    plugrt_kernel kernel;
    size_t args;
    int32_t layer;
} command;

struct plugrt_list {
    command *commands;
    size_t count, capacity;
    unsigned char *args;
    size_t args_size, args_capacity;
};

static _Thread_local int32_t failed_layer = -1;

int32_t plugrt_failed_layer(void)
{
    return failed_layer;
}

void plugrt_note_failure(int32_t layer)
{
    failed_layer = layer;
}

plugrt_list *plugrt_list_create(void)
{
    return calloc(1, sizeof(plugrt_list));
}

void plugrt_list_destroy(plugrt_list *list)
{
    if (!list)
        return;
    free(list->commands);
    free(list->args);
    free(list);
}

static int reserve_arguments(plugrt_list *list, size_t size)
{
    if (list->args_size + size <= list->args_capacity)
        return 0;
    size_t capacity = (list->args_size + size) * 2 + 4096;
    capacity -= capacity % ARGUMENT_ALIGNMENT;
    unsigned char *args = aligned_alloc(ARGUMENT_ALIGNMENT, capacity);
    if (!args)
        return -1;
    if (list->args_size)
        memcpy(args, list->args, list->args_size);
    free(list->args);
    list->args = args;
    list->args_capacity = capacity;
    return 0;
}

int plugrt_list_append(plugrt_list *list, uintptr_t kernel, const void *args, size_t size,
                       int32_t layer)
{
    size_t padded = (size + ARGUMENT_ALIGNMENT - 1) / ARGUMENT_ALIGNMENT * ARGUMENT_ALIGNMENT;
    if (reserve_arguments(list, padded))
        return -1;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 32;
        command *commands = realloc(list->commands, capacity * sizeof(command));
        if (!commands)
            return -1;
        list->commands = commands;
        list->capacity = capacity;
    }
    if (size)
        memcpy(list->args + list->args_size, args, size);
    list->commands[list->count++] =
        (command){(plugrt_kernel)kernel, list->args_size, layer};
    list->args_size += padded;
    return 0;
}

size_t plugrt_list_length(const plugrt_list *list)
{
    return list->count;
}

int32_t plugrt_list_layer(const plugrt_list *list, size_t index)
{
    return index < list->count ? list->commands[index].layer : -1;
}

int plugrt_list_run(const plugrt_list *list, const plugrt_call *call)
{
    for (size_t i = 0; i < list->count; i++) {
        const command *c = &list->commands[i];
        int status = c->kernel(list->args + c->args, call);
        if (status) {
            if (failed_layer < 0)
                failed_layer = c->layer;
            return status;
        }
    }
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run_timed(const plugrt_list *list, const plugrt_call *call, double *seconds)
{
    double before = now();
    for (size_t i = 0; i < list->count; i++) {
        const command *c = &list->commands[i];
        int status = c->kernel(list->args + c->args, call);
        if (status) {
            if (failed_layer < 0)
                failed_layer = c->layer;
            return status;
        }
        double after = now();
        seconds[i] = after - before;
        before = after;
    }
    return 0;
}

static plugrt_caller_state enter(const plugrt_call *call,
                                 const plugrt_thread_services *services,
                                 const plugrt_affinity *affinity)
{
    plugrt_caller_state caller = {.team = services->get_num_threads()};
    failed_layer = -1;
    plugrt_enter_affinity(&caller, affinity, call->thread_count);
    if (caller.team != call->thread_count)
        services->set_num_threads(call->thread_count);
    fegetenv(&caller.environment);
    services->flush_denormals(1); /* threads that a kernel starts take it over */
    services->prime(call->thread_count);
    return caller;
}

static void leave(const plugrt_caller_state *caller, const plugrt_call *call,
                  const plugrt_thread_services *services)
{
    fesetenv(&caller->environment);
    plugrt_leave_affinity(caller);
    if (caller->team != call->thread_count)
        services->set_num_threads(caller->team);
}

int plugrt_list_replay(const plugrt_list *list, const plugrt_call *call,
                       const plugrt_thread_services *services,
                       const plugrt_affinity *affinity, double *seconds)
{
    plugrt_caller_state caller = enter(call, services, affinity);
    int status = seconds ? run_timed(list, call, seconds) : plugrt_list_run(list, call);
    leave(&caller, call, services);
    return status;
}

/* How often a thread of this process had to give its processor to another process. */
static long times_displaced(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_nivcsw;
}

double plugrt_list_time(const plugrt_list *list, const plugrt_call *call,
                        const plugrt_thread_services *services,
                        const plugrt_cache_state *state, double patience)
{
    plugrt_caller_state caller = enter(call, services, NULL);
    double start = now(), least = -1.0;
    int status;
    long switches;
    do {
        switches = times_displaced();
        plugrt_prepare_caches(state, call->thread_count);
        double before = now();
        status = plugrt_list_run(list, call);
        double seconds = now() - before;
        if (least < 0 || seconds < least)
            least = seconds;
    } while (!status && times_displaced() != switches && now() - start < patience);
    leave(&caller, call, services);
    return status ? -1.0 : least;
}
