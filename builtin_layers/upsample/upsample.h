/* What both ways to upsample share. */
#ifndef PLUGRT_UPSAMPLE_H
#define PLUGRT_UPSAMPLE_H

#include "layer_kernel.h"

/* A tensor is N x groups x depth x height x width pixels; a pixel is the channels of one group,
 * side by side: one in linear formats, all in channels-last, 16 in blocked ones.  Sizes are the
 * input's, strides are in bytes. */
struct upsample {
    plugrt_ref input, output;
    int64_t outer_sizes[2]; /* N, groups */
    int64_t input_outer[2], output_outer[2];
    int64_t sizes[3], scales[3];
    int64_t input_strides[3], output_strides[3];
    int64_t extra[2]; /* the mode's own */
};

/* Handles output rows [first, last) of one input plane; planes are counted over N and groups. */
typedef void (*upsample_rows)(
    const struct upsample *u, const char *input, char *output, int64_t depth, int64_t row);

/* Calls `rows` once per output depth and row of every plane. */
static inline int run_upsample(
    const struct upsample *u, const plugrt_call *call, upsample_rows rows, int64_t step)
{
    const char *input = plugrt_address(call, u->input);
    char *output = plugrt_address(call, u->output);
    int64_t depths = u->sizes[0] * u->scales[0];
    int64_t heights = u->sizes[1] * u->scales[1] / step;
    int64_t items = u->outer_sizes[0] * u->outer_sizes[1] * depths * heights;
#pragma omp parallel for num_threads(call->thread_count) if (items > 16)
    for (int64_t item = 0; item < items; item++) {
        int64_t row = item % heights * step;
        int64_t depth = item / heights % depths;
        int64_t plane = item / heights / depths;
        int64_t n = plane / u->outer_sizes[1], group = plane % u->outer_sizes[1];
        rows(u, input + n * u->input_outer[0] + group * u->input_outer[1],
            output + n * u->output_outer[0] + group * u->output_outer[1], depth, row);
    }
    return 0;
}

#endif
