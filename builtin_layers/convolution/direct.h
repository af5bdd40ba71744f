/* Direct convolution in float32 for every case: groups, dilation, padding on any side, one to
 * three spatial dimensions, linear and channels-last tensors, slices of larger ones.
 *
 * Each step computes a block of 8 or 16 output channels of a few neighbouring output points; the
 * sums stay in registers while one element of the input after the other is multiplied by a
 * vector of weights.
 */
#ifndef PLUGRT_CONVOLUTION_DIRECT_H
#define PLUGRT_CONVOLUTION_DIRECT_H

#include "activation.h"
#include "layer_kernel.h"

struct direct_arguments {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
    int32_t block; /* output channels side by side in the packed weights: 8 or 16 */
    int32_t batch, groups;
    int32_t channels, outputs; /* of one group */
    int32_t input_size[3], output_size[3];
    int32_t kernel[3], stride[3], dilation[3], before[3];
    struct activation activation;
    int64_t input_stride[5]; /* image, channel, depth, height, width; in elements */
    int64_t output_stride[5];
};

/* One row of outputs: all widths of one image, group, block of channels, depth and height. */
struct direct_row {
    const float *input; /* first channel of the group in the image */
    const float *weights; /* of the block */
    const float *bias; /* of the block, or NULL */
    float *output; /* first point of the row, first channel of the block */
    int depth, height;
    int channels; /* that the block really has */
};

/* Kernel positions [first, end) along an axis at which output `at` sees the input. */
static inline void plugrt_seen(
    const struct direct_arguments *a, int axis, int at, int *first, int *end)
{
    const int dilation = a->dilation[axis], size = a->input_size[axis];
    const int start = at * a->stride[axis] - a->before[axis];
    int from = start < 0 ? (-start + dilation - 1) / dilation : 0;
    int to = a->kernel[axis];
    if (start + (to - 1) * dilation >= size)
        to = size > start ? (size - start + dilation - 1) / dilation : 0;
    *first = from;
    *end = to < from ? from : to;
}

/* Whether output `at` sees the input at every kernel position of the axis. */
static inline int plugrt_sees_all(const struct direct_arguments *a, int axis, int at)
{
    int first, end;
    plugrt_seen(a, axis, at, &first, &end);
    return first == 0 && end == a->kernel[axis];
}

enum { DIRECT_TAPS = 256 };

/* What the windows of a row have in common.  A tap is one element of a window. */
struct direct_taps {
    int first[2], end[2]; /* kernel depths and heights that meet the input */
    int complete; /* whether `offsets` has all taps of a window with all its columns */
    int count;
    const float *weights; /* of the first tap */
    int64_t offsets[DIRECT_TAPS]; /* from the place of a window's column 0 in the image */
    int64_t channel_offsets[DIRECT_TAPS]; /* of consecutive channels */
};

/* Where kernel element (d, h, w) of the row's windows lies. */
static inline int64_t plugrt_tap_offset(
    const struct direct_arguments *a, const struct direct_row *row, int d, int h, int w)
{
    const int64_t z = (int64_t)row->depth * a->stride[0] - a->before[0] + d * a->dilation[0];
    const int64_t y = (int64_t)row->height * a->stride[1] - a->before[1] + h * a->dilation[1];
    return z * a->input_stride[2] + y * a->input_stride[3]
        + (int64_t)w * a->dilation[2] * a->input_stride[4];
}

static inline void plugrt_find_taps(const struct direct_arguments *a,
    const struct direct_row *row, int block, struct direct_taps *taps)
{
    plugrt_seen(a, 0, row->depth, &taps->first[0], &taps->end[0]);
    plugrt_seen(a, 1, row->height, &taps->first[1], &taps->end[1]);
    const int depths = taps->end[0] - taps->first[0], heights = taps->end[1] - taps->first[1];
    const int64_t all = (int64_t)depths * heights * a->kernel[2] * a->channels;
    /* The taps' weights follow each other only if no height is left out between depths. */
    taps->complete = all <= DIRECT_TAPS && (depths <= 1 || heights == a->kernel[1]);
    taps->count = 0;
    taps->weights = row->weights
        + ((int64_t)taps->first[0] * a->kernel[1] + taps->first[1]) * a->kernel[2] * a->channels
            * block;
    for (int c = 0; c < DIRECT_TAPS && c < a->channels; c++)
        taps->channel_offsets[c] = c * a->input_stride[1];
    if (!taps->complete)
        return;
    for (int d = taps->first[0]; d < taps->end[0]; d++)
        for (int h = taps->first[1]; h < taps->end[1]; h++)
            for (int w = 0; w < a->kernel[2]; w++)
                for (int c = 0; c < a->channels; c++)
                    taps->offsets[taps->count++]
                        = plugrt_tap_offset(a, row, d, h, w) + c * a->input_stride[1];
}

typedef void direct_row_function(
    const struct direct_arguments *arguments, const struct direct_row *row);

direct_row_function plugrt_direct_row_8_portable, plugrt_direct_row_16_portable;
#if defined(__x86_64__)
direct_row_function plugrt_direct_row_8_avx2, plugrt_direct_row_16_avx2;
direct_row_function plugrt_direct_row_8_avx512, plugrt_direct_row_16_avx512;
#endif

#endif
