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

static inline struct window_range window_range(const struct pooling_arguments *a, int axis, int at)
{
    const int dilation = a->dilation[axis], size = a->input_size[axis];
    int start = at * a->stride[axis] - a->before[axis];
    int skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
    int end = a->kernel[axis];
    if (start + (end - 1) * dilation >= size)
        end = size > start ? (size - start + dilation - 1) / dilation : 0;
    int limit = size + a->after[axis];
    int room = a->kernel[axis];
    if (start + (room - 1) * dilation >= limit)
        room = (limit - start + dilation - 1) / dilation;
    struct window_range range = {start + skipped * dilation, end - skipped, room};
    if (range.count < 0)
        range.count = 0;
    return range;
}

/* One row of outputs: channels [begin, end) of the output points (outer, depth, height, all
 * widths). */
struct pooling_row {
    int outer[2], depth, height;
    int begin, end;
};

typedef void pooling_row_function(const struct pooling_arguments *arguments,
    const struct pooling_row *row, const void *input, void *output);

#define DECLARE_POOLING_ROWS(isa)                                                            \
    pooling_row_function plugrt_maximum_row_float32_##isa, plugrt_maximum_row_int8_##isa,    \
        plugrt_maximum_row_uint8_##isa, plugrt_maximum_row_bfloat16_##isa,                   \
        plugrt_average_row_float32_##isa, plugrt_average_row_bfloat16_##isa,                 \
        plugrt_average_row_int8_##isa, plugrt_average_row_uint8_##isa

DECLARE_POOLING_ROWS(portable);
#if defined(__x86_64__)
DECLARE_POOLING_ROWS(avx2);
DECLARE_POOLING_ROWS(avx512);
#endif

/* Runs `function` on every row, on the call's threads; long rows of channels are divided when
 * there are fewer rows than threads. */
int plugrt_run_pooling(
    const struct pooling_arguments *arguments, const plugrt_call *call, size_t element_size,
    pooling_row_function *function);

#endif
