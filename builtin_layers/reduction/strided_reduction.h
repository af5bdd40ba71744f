/* The loops around a reduction: see strided_plan.py. */
#ifndef PLUGRT_STRIDED_REDUCTION_H
#define PLUGRT_STRIDED_REDUCTION_H

#include "layer_kernel.h"

/* Neighbouring results that are computed together. */
#define COLUMNS 64

#define MAXIMUM_RANK 8

/* Strides in bytes; the innermost dimension of either kind is the last. */
struct reduction {
    plugrt_ref input, output;
    int32_t kept_rank, reduced_rank; /* at least 1 */
    int64_t kept_sizes[MAXIMUM_RANK];
    int64_t kept_strides[MAXIMUM_RANK];
    int64_t output_strides[MAXIMUM_RANK];
    int64_t reduced_sizes[MAXIMUM_RANK];
    int64_t reduced_strides[MAXIMUM_RANK];
};

/* Reduces `columns` neighbours along the last kept dimension. */
typedef void (*reduction_block)(
    const struct reduction *r, const char *input, char *output, int64_t columns);

static inline int64_t product(const int64_t *sizes, int32_t rank)
{
    int64_t total = 1;
    for (int32_t d = 0; d < rank; d++)
        total *= sizes[d];
    return total;
}

/* Moves `base` to the next position of the reduced dimensions but the last; 0 at the end. */
static inline int next_row(const struct reduction *r, int64_t *index, const char **base)
{
    for (int32_t d = r->reduced_rank - 2; d >= 0; d--) {
        *base += r->reduced_strides[d];
        if (++index[d] < r->reduced_sizes[d])
            return 1;
        *base -= r->reduced_strides[d] * r->reduced_sizes[d];
        index[d] = 0;
    }
    return 0;
}

static inline int run_reduction(
    const struct reduction *r, const plugrt_call *call, reduction_block block)
{
    const char *input = plugrt_address(call, r->input);
    char *output = plugrt_address(call, r->output);
    int32_t last = r->kept_rank - 1;
    int64_t width = r->kept_sizes[last];
    int64_t blocks = (width + COLUMNS - 1) / COLUMNS;
    int64_t items = product(r->kept_sizes, last) * blocks;
    int64_t work = items * product(r->reduced_sizes, r->reduced_rank);
#pragma omp parallel for num_threads(call->thread_count) if (items > 1 && work > 4096)
    for (int64_t item = 0; item < items; item++) {
        int64_t column = item % blocks * COLUMNS, rest = item / blocks;
        int64_t from = column * r->kept_strides[last], to = column * r->output_strides[last];
        for (int32_t d = last - 1; d >= 0; d--) {
            int64_t index = rest % r->kept_sizes[d];
            rest /= r->kept_sizes[d];
            from += index * r->kept_strides[d];
            to += index * r->output_strides[d];
        }
        int64_t columns = width - column < COLUMNS ? width - column : COLUMNS;
        block(r, input + from, output + to, columns);
    }
    return 0;
}

#endif
