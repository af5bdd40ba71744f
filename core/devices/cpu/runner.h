#ifndef PLUGRT_RUNNER_H
#define PLUGRT_RUNNER_H
#include "command_list.h"

/* A thread of its own that replays lists and then keeps itself and its team awake for a while. */
typedef struct plugrt_runner plugrt_runner;

/* NULL when the thread cannot be started. */
plugrt_runner *plugrt_runner_create(int thread_count, double spin_seconds);

/* Stops the thread. No replay may be under way. */
void plugrt_runner_destroy(plugrt_runner *runner);

/* plugrt_list_replay on the runner's thread; one call at a time. */
int plugrt_runner_replay(plugrt_runner *runner, const plugrt_list *list,
                         const plugrt_call *call, const plugrt_thread_services *services,
                         const plugrt_affinity *affinity, double *seconds);
#endif
