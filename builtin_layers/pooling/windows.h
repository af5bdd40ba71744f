/* Pooling windows over tensors of any format.
 *
 * A tensor is seen as outer[0] x outer[1] volumes of depth x height x width points, each point
 * `inner` elements side by side: all channels of a channels-last tensor, 16 of a blocked one,
 * one of a linear one.
 */
#ifndef PLUGRT_POOLING_WINDOWS_H
#define PLUGRT_POOLING_WINDOWS_H

#include "layer_kernel.h"

struct pooling_arguments {
    plugrt_ref input, output;
    int32_t outer[2];
    int32_t inner;
    int32_t input_size[3], output_size[3];
    int32_t kernel[3], stride[3], dilation[3], before[3], after[3];
    int32_t include_padding; /* average: padding counts as elements of value 0 */
    int32_t input_zero, output_zero;
    float ratio; /* input scale / output scale */
    int64_t input_stride[5]; /* outer 0, outer 1, depth, height, width; in elements */
    int64_t output_stride[5];
};

/* The valid part of one window along one axis: input positions first, first + dilation...
 * `count` of them; `room` counts the padding too, but not what lies beyond it. */
struct window_range {
    int32_t first, count, room;
};

/* Steps of `step` that reach at least so far. */
static inline int steps_to(int distance, int step)
{
    return distance <= 0 ? 0 : step == 1 ? distance : (distance + step - 1) / step;
}

static inline struct window_range window_range(const struct pooling_arguments *a, int axis, int at)
{
    const int kernel = a->kernel[axis], dilation = a->dilation[axis], size = a->input_size[axis];
    const int start = at * a->stride[axis] - a->before[axis];
    const int skipped = steps_to(-start, dilation);
    const int inside = steps_to(size - start, dilation);
    const int padded = steps_to(size + a->after[axis] - start, dilation);
    const int end = inside < kernel ? inside : kernel;
    return (struct window_range){
        .first = start + skipped * dilation,
        .count = end > skipped ? end - skipped : 0,
        .room = padded < kernel ? padded : kernel,
    };
}

/* Input elements from the first to the last of a window along an axis. */
static inline int window_extent(const struct pooling_arguments *a, int axis)
{
    return (a->kernel[axis] - 1) * a->dilation[axis] + 1;
}

/* One row of output points: its first output, the first input of its windows in column 0, in
 * elements, and what its windows see. */
struct pooling_row {
    int64_t from, to;
    struct window_range depth, height;
};

/* Walks over rows, the outer loops outside. */
struct pooling_cursor {
    int outer[2], depth, height;
};

static inline struct pooling_cursor pooling_cursor(const struct pooling_arguments *a, int64_t row)
{
    struct pooling_cursor cursor;
    cursor.height = (int)(row % a->output_size[1]);
    row /= a->output_size[1];
    cursor.depth = (int)(row % a->output_size[0]);
    row /= a->output_size[0];
    cursor.outer[1] = (int)(row % a->outer[1]);
    cursor.outer[0] = (int)(row / a->outer[1]);
    return cursor;
}

static inline struct pooling_row next_pooling_row(
    const struct pooling_arguments *a, struct pooling_cursor *at)
{
    struct pooling_row row = {
        .to = at->outer[0] * a->output_stride[0] + at->outer[1] * a->output_stride[1]
            + at->depth * a->output_stride[2] + at->height * a->output_stride[3],
        .depth = window_range(a, 0, at->depth),
        .height = window_range(a, 1, at->height),
    };
    row.from = at->outer[0] * a->input_stride[0] + at->outer[1] * a->input_stride[1]
        + row.depth.first * a->input_stride[2] + row.height.first * a->input_stride[3];
    if (++at->height == a->output_size[1]) {
        at->height = 0;
        if (++at->depth == a->output_size[0]) {
            at->depth = 0;
            if (++at->outer[1] == a->outer[1]) {
                at->outer[1] = 0;
                at->outer[0]++;
            }
        }
    }
    return row;
}

/* A share of the work: channels [begin, end) of rows [first, last), or of volumes. */
struct pooling_share {
    int64_t first, last;
    int begin, end;
};

typedef void pooling_function(const struct pooling_arguments *arguments,
    const struct pooling_share *share, const void *input, void *output);

/* The ways to do one kind of pooling. */
struct pooling_kind {
    int channels;             /* that one step computes */
    pooling_function *points; /* any rows */
    pooling_function *lines;  /* rows whose points are single neighbours: see lines.h */
    pooling_function *flats;  /* of the same, planes that keep their size: see flats.h */
    pooling_function *wholes; /* of the same, windows over whole volumes: see wholes.h */
    pooling_function *planes; /* whole planes of points, for large windows: planes.h; or NULL */
};

enum {
    WIDEST_VECTOR = 64,     /* bytes */
    PLANE_BYTES = 64 << 10, /* of a volume that planes.h keeps */
    LINE_ELEMENTS = 2048,   /* of rows that lines.h keeps */
    FLAT_ELEMENTS = 1024,   /* of a plane and its padding that flats.h keeps */
    FLAT_MASKS = 4096,      /* elements of masks that flats.h keeps */
};

#define DECLARE_POOLING_KINDS(isa)                                                           \
    extern const struct pooling_kind plugrt_maximum_float32_##isa,                           \
        plugrt_maximum_bfloat16_##isa, plugrt_maximum_int8_##isa, plugrt_maximum_uint8_##isa, \
        plugrt_average_float32_##isa, plugrt_average_bfloat16_##isa,                         \
        plugrt_average_int8_##isa, plugrt_average_uint8_##isa

DECLARE_POOLING_KINDS(portable);
#if defined(__x86_64__)
DECLARE_POOLING_KINDS(avx2);
DECLARE_POOLING_KINDS(avx512);
#endif

/* Runs a pooling on the call's threads; `narrow` is the kind for points that fit into smaller
 * vectors. */
int plugrt_run_pooling(const struct pooling_arguments *arguments, const plugrt_call *call,
    const struct pooling_kind *kind, const struct pooling_kind *narrow);

#if defined(__x86_64__)
#define NARROW(kind) (plugrt_has_avx2() ? kind##_avx2 : kind##_portable)
#else
#define NARROW(kind) kind##_portable
#endif

/* The body of a kernel. */
#define RUN_POOLING(kind) plugrt_run_pooling(args, call, BEST_OF(&kind), NARROW(&kind))

#endif
