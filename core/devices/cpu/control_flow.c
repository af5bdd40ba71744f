#include "control_flow.h"

#include <stdio.h>
#include <string.h>

int plugrt_branch(const void *args, const plugrt_call *call)
{
    const plugrt_branch_args *a = args;
    const uint8_t *condition = plugrt_address(call, a->condition);
    return plugrt_list_run(*condition ? a->yes : a->no, call);
}

static void transfer(const plugrt_transfer *t, uint64_t row, const plugrt_call *call)
{
    char *to = plugrt_address(call, t->to);
    memmove(to + row * t->bytes, plugrt_address(call, t->from), t->bytes);
}

int plugrt_repeat(const void *args, const plugrt_call *call)
{
    const plugrt_repeat_args *a = args;
    int64_t maximum = a->maximum, run = 0;
    if (a->has_maximum)
        maximum = *(const int64_t *)plugrt_address(call, a->maximum_at);
    if (a->stacked_count && maximum > a->stacked_capacity)
        maximum = a->stacked_capacity + 1; /* one more run tells whether it overflows */
    const uint8_t *condition = a->has_condition ? plugrt_address(call, a->condition) : NULL;
    for (; run < maximum && (!condition || *condition); run++) {
        if (a->stacked_count && run == a->stacked_capacity) {
            snprintf(call->message, call->message_capacity,
                     "the loop runs more often than the %lld rows of its stacked outputs",
                     (long long)a->stacked_capacity);
            return 1;
        }
        if (a->has_iteration)
            *(int64_t *)plugrt_address(call, a->iteration) = run;
        int status = plugrt_list_run(a->body, call);
        if (status)
            return status;
        for (uint32_t i = 0; i < a->stacked_count; i++)
            transfer(&a->stacked[i], (uint64_t)run, call);
        for (uint32_t i = 0; i < a->carried_count; i++)
            transfer(&a->carried[i], 0, call);
    }
    if (a->has_count)
        *(int64_t *)plugrt_address(call, a->count) = run;
    return 0;
}

uintptr_t plugrt_branch_address(void)
{
    return (uintptr_t)plugrt_branch;
}

uintptr_t plugrt_repeat_address(void)
{
    return (uintptr_t)plugrt_repeat;
}
