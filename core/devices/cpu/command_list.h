#ifndef PLUGRT_COMMAND_LIST_H
#define PLUGRT_COMMAND_LIST_H
#include "affinity.h"
#include "cache_state.h"
#include "plugrt_kernel.h"

typedef struct plugrt_list plugrt_list;

/* The runtime's services that a replay needs from plugrt.plugins.native. */
typedef struct plugrt_thread_services {
    void (*prime)(int thread_count);
    void (*set_num_threads)(int thread_count);
    int (*get_num_threads)(void);
    int (*flush_denormals)(int enable);
} plugrt_thread_services;

plugrt_list *plugrt_list_create(void);
void plugrt_list_destroy(plugrt_list *list);

/* Appends one kernel with a copy of its arguments. `layer` is reported on failure.
 * Returns 0, or -1 when memory is short (the list is unchanged). */
int plugrt_list_append(plugrt_list *list, uintptr_t kernel, const void *args, size_t size,
                       int32_t layer);
size_t plugrt_list_length(const plugrt_list *list);
int32_t plugrt_list_layer(const plugrt_list *list, size_t index);

/* Runs a list inside a replay that is already set up. Returns the status of the first kernel
 * that fails; the layer is then in plugrt_failed_layer(). */
int plugrt_list_run(const plugrt_list *list, const plugrt_call *call);

/* Runs a list from outside: sets the team size, flushes denormals on every thread of the team,
 * pins them where an affinity is given, and puts the caller's settings back. With `seconds`, times
 * each command. */
int plugrt_list_replay(const plugrt_list *list, const plugrt_call *call,
                       const plugrt_thread_services *services,
                       const plugrt_affinity *affinity, double *seconds);

/* Seconds of one run as plugrt_list_replay does it, from the given state of the caches; below 0
 * after a failure. A run that other processes have disturbed is repeated for up to `patience`
 * seconds; then the least counts. */
double plugrt_list_time(const plugrt_list *list, const plugrt_call *call,
                        const plugrt_thread_services *services,
                        const plugrt_cache_state *state, double patience);

/* Ends the calling thread's OpenMP workers. Where a process has more of them than processors,
 * libgomp lets all teams sleep at once instead of spinning, so that every kernel starts late. */
void plugrt_release_team(const plugrt_thread_services *services);

/* The layer of the innermost command that failed last on this thread. */
int32_t plugrt_failed_layer(void);
void plugrt_note_failure(int32_t layer);
#endif
