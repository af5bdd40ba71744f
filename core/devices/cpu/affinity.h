#ifndef PLUGRT_AFFINITY_H
#define PLUGRT_AFFINITY_H
#include <stdint.h>

/* Thread k of a team runs on processor k % count. `id` tells assignments apart; never 0. */
typedef struct plugrt_affinity {
    const int32_t *processors;
    uint64_t id;
    uint32_t count, reserved;
} plugrt_affinity;
#endif
