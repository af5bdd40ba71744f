/* Direct convolution in float32: any groups, dilation and padding, up to three spatial
 * dimensions, linear or channels-last, slices of larger tensors.
 *
 * A step makes the results of LANES filters, 8 or 16, at a few neighbouring points: the sums are
 * in registers while one input element after the other goes past, and with it LANES weights.
 */
#ifndef TWIN_DIRECT_H
#define TWIN_DIRECT_H

#include "../instruction_sets.h"
#include "../twin_kernel.h"
#include "activation.h"

struct direct {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
    int32_t lanes;
    int32_t images, groups;
    int32_t channels, filters; /* of a group */
    int32_t input_size[3], output_size[3];
    int32_t kernel[3], stride[3], dilation[3], before[3];
    struct activation activation;
    int64_t input_stride[5], output_stride[5]; /* image, channel, depth, height, width */
};

/* All points (depth, height, every width) of one image for LANES filters of a group. */
struct line {
    const float *input;
    const float *weights;
    const float *bias; /* may be NULL */
    float *output;
    int depth, height;
    int filters; /* at most LANES */
};

/* Kernel positions of an axis that fall on the input. */
struct range {
    int first, end;
};

static inline struct range inside(const struct direct *a, int axis, int at)
{
    const int gap = a->dilation[axis], size = a->input_size[axis];
    const int start = at * a->stride[axis] - a->before[axis];
    struct range range = {0, a->kernel[axis]};
    if (start < 0)
        range.first = (gap - 1 - start) / gap;
    if (start + (range.end - 1) * gap >= size)
        range.end = size > start ? (size - start + gap - 1) / gap : 0;
    if (range.end < range.first)
        range.end = range.first;
    return range;
}

/* The outputs along an axis whose windows lose nothing to the padding. */
static inline struct range untouched(const struct direct *a, int axis)
{
    struct range range = {0, a->output_size[axis]};
    struct range seen;
    for (; range.first < range.end; range.first++) {
        seen = inside(a, axis, range.first);
        if (seen.first == 0 && seen.end == a->kernel[axis])
            break;
    }
    for (; range.end > range.first; range.end--) {
        seen = inside(a, axis, range.end - 1);
        if (seen.first == 0 && seen.end == a->kernel[axis])
            break;
    }
    return range;
}

enum { MOST_STEPS = 256 };

/* Where the elements of a line's windows lie, seen from their first column. */
struct footprint {
    struct range planes, rows;
    int is_listed;              /* `elements` has those of all columns, in the weights' order */
    int count;
    const float *weights;       /* of the first of them */
    int64_t elements[MOST_STEPS];
    int64_t channels[MOST_STEPS]; /* the channels of one column */
};

static inline int64_t distance(const struct direct *a, const struct line *line, int d, int h, int w)
{
    const int64_t plane = (int64_t)line->depth * a->stride[0] - a->before[0] + d * a->dilation[0];
    const int64_t row = (int64_t)line->height * a->stride[1] - a->before[1] + h * a->dilation[1];
    return plane * a->input_stride[2] + row * a->input_stride[3]
        + (int64_t)w * a->dilation[2] * a->input_stride[4];
}

typedef void run_line(const struct direct *a, const struct line *line);

DECLARE_VARIANTS(run_line, twins_line_8);
DECLARE_VARIANTS(run_line, twins_line_16);
DECLARE_VARIANTS(run_line, twins_depthwise_8);
DECLARE_VARIANTS(run_line, twins_depthwise_16);

#endif
