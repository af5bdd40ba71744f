#include "caller_state.h"

#include <omp.h>

#ifdef __linux__
/* libgomp keeps a pool of workers per calling thread, so these do too. */
static _Thread_local uint64_t team_id;
static _Thread_local int team_size;

static void run_on(int processor)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static void place_team(const plugrt_affinity *affinity, const cpu_set_t *everywhere, int size)
{
#pragma omp parallel num_threads(size)
    {
        if (affinity)
            run_on(affinity->processors[(uint32_t)omp_get_thread_num() % affinity->count]);
        else
            sched_setaffinity(0, sizeof(*everywhere), everywhere);
    }
}

void plugrt_enter_affinity(plugrt_caller_state *caller, const plugrt_affinity *affinity,
                           int thread_count)
{
    uint64_t id = affinity ? affinity->id : 0;
    caller->is_pinned = id != 0;
    if (!id && !team_id)
        return;
    sched_getaffinity(0, sizeof(caller->processors), &caller->processors);
    if (id == team_id && thread_count <= team_size) {
        run_on(affinity->processors[0]);
        return;
    }
    team_size = thread_count > team_size ? thread_count : team_size;
    place_team(affinity, &caller->processors, team_size);
    team_id = id;
}

void plugrt_leave_affinity(const plugrt_caller_state *caller)
{
    if (caller->is_pinned)
        sched_setaffinity(0, sizeof(caller->processors), &caller->processors);
}
void plugrt_forget_pinned_team(void)
{
    team_id = 0;
    team_size = 0;
}
#else
void plugrt_enter_affinity(plugrt_caller_state *caller, const plugrt_affinity *affinity,
                           int thread_count)
{
    (void)affinity;
    (void)thread_count;
    caller->is_pinned = 0;
}

void plugrt_leave_affinity(const plugrt_caller_state *caller)
{
    (void)caller;
}

void plugrt_forget_pinned_team(void)
{
}
#endif
