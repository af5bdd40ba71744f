/* What a replay changes on the calling thread and its team, and puts back. */
#ifndef PLUGRT_CALLER_STATE_H
#define PLUGRT_CALLER_STATE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fenv.h>
#include <sched.h>

#include "affinity.h"

typedef struct plugrt_caller_state {
    int team;
    fenv_t environment;
    int is_pinned;
#ifdef __linux__
    cpu_set_t processors;
#endif
} plugrt_caller_state;

/* Pins the caller and its team for a replay; NULL means wherever the caller may run. The team
 * stays pinned until another assignment is asked for, so that this costs two system calls. */
void plugrt_enter_affinity(plugrt_caller_state *caller, const plugrt_affinity *affinity,
                           int thread_count);
void plugrt_leave_affinity(const plugrt_caller_state *caller);

/* The calling thread's team has ended: the next one is not pinned. */
void plugrt_forget_pinned_team(void);
#endif
