#ifndef PLUGRT_CONTROL_FLOW_H
#define PLUGRT_CONTROL_FLOW_H
#include "command_list.h"

typedef struct plugrt_transfer {
    plugrt_ref from;
    plugrt_ref to;
    uint64_t bytes;
} plugrt_transfer;

typedef struct plugrt_branch_args {
    plugrt_ref condition; /* bool scalar */
    const plugrt_list *yes;
    const plugrt_list *no;
} plugrt_branch_args;

/* Optional references are absent where the flag says so. */
typedef struct plugrt_repeat_args {
    const plugrt_list *body;
    int64_t maximum;            /* used where has_maximum is 0 */
    plugrt_ref maximum_at;      /* int64 scalar */
    plugrt_ref condition;       /* bool scalar */
    plugrt_ref iteration;       /* int64 scalar, written */
    plugrt_ref count;           /* int64 scalar, written */
    const plugrt_transfer *carried;
    const plugrt_transfer *stacked; /* `to` moves by `bytes` with each run */
    uint32_t carried_count;
    uint32_t stacked_count;
    uint32_t has_maximum, has_condition, has_iteration, has_count;
    int64_t stacked_capacity;   /* rows that the stacked outputs hold */
} plugrt_repeat_args;

int plugrt_branch(const void *args, const plugrt_call *call);
int plugrt_repeat(const void *args, const plugrt_call *call);
uintptr_t plugrt_branch_address(void);
uintptr_t plugrt_repeat_address(void);
uintptr_t plugrt_python_address(void);
#endif
