/* Maximum and average pooling in every format: see points_of() in windows.py. */
#ifndef TWIN_POOLING_H
#define TWIN_POOLING_H

#include "instruction_sets.h"
#include "twin_kernel.h"

struct pooling {
    plugrt_ref input, output;
    int32_t volumes[2];
    int32_t point; /* neighbouring channels */
    int32_t input_size[3], output_size[3];
    int32_t kernel[3], stride[3], dilation[3], before[3], after[3];
    int32_t include_padding;
    int32_t input_zero, output_zero;
    float ratio; /* input scale / output scale */
    int64_t input_stride[5], output_stride[5];
};

/* A window along one axis: its first element inside the input, how many are inside, and how
 * many if the padding counts. */
struct span {
    int32_t first, count, room;
};

static inline int32_t steps_to(int32_t distance, int32_t step)
{
    return distance > 0 ? (distance + step - 1) / step : 0;
}

static inline int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline struct span span_of(const struct pooling *a, int axis, int at)
{
    const int32_t step = a->dilation[axis], size = a->input_size[axis];
    const int32_t start = at * a->stride[axis] - a->before[axis];
    const int32_t skipped = steps_to(-start, step);
    const int32_t end = smaller(a->kernel[axis], steps_to(size - start, step));
    struct span span;
    span.first = start + skipped * step;
    span.count = end > skipped ? end - skipped : 0;
    span.room = smaller(a->kernel[axis], steps_to(size + a->after[axis] - start, step));
    return span;
}

enum { MOST_LISTED = 128 };

/* A window: its spans, and where its elements lie; no list where they are too many. */
struct window {
    struct span spans[3];
    int count;
    int64_t places[MOST_LISTED];
};

static inline int64_t place_of(
    const struct pooling *a, const struct span *spans, int z, int y, int x)
{
    return (spans[0].first + z * a->dilation[0]) * a->input_stride[2]
        + (spans[1].first + y * a->dilation[1]) * a->input_stride[3]
        + (spans[2].first + x * a->dilation[2]) * a->input_stride[4];
}

static inline void list_elements(const struct pooling *a, struct window *window)
{
    const struct span *spans = window->spans;
    window->count = 0;
    if ((int64_t)spans[0].count * spans[1].count * spans[2].count > MOST_LISTED)
        return;
    for (int z = 0; z < spans[0].count; z++)
        for (int y = 0; y < spans[1].count; y++)
            for (int x = 0; x < spans[2].count; x++)
                window->places[window->count++] = place_of(a, spans, z, y, x);
}

/* Channels [begin, end) of a row of output points. */
struct row {
    int depth, height, begin, end;
};

typedef void run_row(const struct pooling *, const struct row *, const void *, void *);

DECLARE_VARIANTS(run_row, twins_largest_float32);
DECLARE_VARIANTS(run_row, twins_largest_int8);
DECLARE_VARIANTS(run_row, twins_largest_uint8);
DECLARE_VARIANTS(run_row, twins_mean_float32);
DECLARE_VARIANTS(run_row, twins_mean_int8);
DECLARE_VARIANTS(run_row, twins_mean_uint8);

#endif
