#ifndef PLUGRT_CACHE_STATE_H
#define PLUGRT_CACHE_STATE_H
#include <stddef.h>
#include <stdint.h>

typedef struct plugrt_span {
    void *start;
    uint64_t bytes;
} plugrt_span;

/* What the caches should hold before a layer is timed, so that it runs as in its network. */
typedef struct plugrt_cache_state {
    const plugrt_span *weights;     /* put out of the caches ... */
    const plugrt_span *activations; /* ... and these are read after that */
    uint32_t weight_count, activation_count;
    int32_t evict;                  /* 1: weights to memory; 0: as `sweep` says */
    int32_t reserved;
    const char *sweep;              /* read by every thread of the team: pushes others out */
    uint64_t sweep_bytes;           /* of one level; 0: nothing is pushed out */
    uint64_t sweep_step;            /* bytes between reads; a page: only address translations */
} plugrt_cache_state;

/* Brings the caches of a team's processors into the state. Afterwards its threads are awake. */
void plugrt_prepare_caches(const plugrt_cache_state *state, int thread_count);
#endif
