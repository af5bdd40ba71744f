/* Direct convolution in float32: any groups, dilation and padding, up to three spatial
 * dimensions, linear or channels-last, slices of larger tensors.
 *
 * A step makes LANES filters' results at a few neighbouring points: the sums are in registers
 * while the weights of one input element after the other go past.
 */
#include "../twin_kernel.h"
#include "activation.h"

#include <string.h>

enum { LANES = 16, REACH = 6 }; /* filters and points of a step */

typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

struct direct {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
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

static inline __attribute__((always_inline)) void put(
    const struct direct *a, const struct line *line, lanes sum, int x)
{
    float *output = line->output + x * a->output_stride[4];
    float results[LANES];
    for (int lane = 0; lane < LANES; lane++)
        results[lane] = activated(&a->activation, sum[lane]);
    if (line->filters == LANES && a->output_stride[1] == 1) {
        memcpy(output, results, sizeof results);
        return;
    }
    for (int lane = 0; lane < line->filters; lane++)
        output[lane * a->output_stride[1]] = results[lane];
}

/* `count` neighbouring points from x on, all with these kernel columns; inlined with a constant
 * count. */
static inline __attribute__((always_inline)) void step(const struct direct *a,
    const struct line *line, int x, struct range columns, int count)
{
    lanes sum[REACH], start = {0};
    if (line->bias != NULL)
        for (int lane = 0; lane < line->filters; lane++)
            start[lane] = line->bias[lane];
    for (int p = 0; p < count; p++)
        sum[p] = start;

    const int64_t next_channel = a->input_stride[1], next_column = a->input_stride[4];
    const int64_t next_point = a->stride[2] * next_column;
    const int64_t per_column = (int64_t)a->channels * LANES;
    const struct range planes = inside(a, 0, line->depth), rows = inside(a, 1, line->height);
    for (int d = planes.first; d < planes.end; d++)
        for (int h = rows.first; h < rows.end; h++) {
            const int64_t z = line->depth * a->stride[0] - a->before[0] + d * a->dilation[0];
            const int64_t y = line->height * a->stride[1] - a->before[1] + h * a->dilation[1];
            const float *base = line->input + z * a->input_stride[2] + y * a->input_stride[3];
            const float *weights = line->weights
                + ((int64_t)(d * a->kernel[1] + h) * a->kernel[2] + columns.first) * per_column;
            int64_t at = x * a->stride[2] - a->before[2] + columns.first * a->dilation[2];
            for (int w = columns.first; w < columns.end; w++, at += a->dilation[2]) {
                const float *element = base + at * next_column;
                for (int c = 0; c < a->channels; c++) {
                    lanes weight;
                    memcpy(&weight, weights, sizeof weight);
                    for (int p = 0; p < count; p++)
                        sum[p] += element[p * next_point] * weight;
                    weights += LANES;
                    element += next_channel;
                }
            }
        }
    for (int p = 0; p < count; p++)
        put(a, line, sum[p], x + p);
}

TWIN_CLONES static void run_line(const struct direct *a, const struct line *line)
{
    const int width = a->output_size[2], all = a->kernel[2];
    int x = 0;
    while (x < width) {
        const struct range columns = inside(a, 2, x);
        if (x + REACH <= width) {
            const struct range last = inside(a, 2, x + REACH - 1);
            if (columns.first == 0 && last.first == 0 && columns.end == all && last.end == all) {
                step(a, line, x, columns, REACH);
                x += REACH;
                continue;
            }
        }
        step(a, line, x, columns, 1);
        x++;
    }
}

TWIN_KERNEL(twins_direct_convolution)
{
    const struct direct *a = args;
    const float *input = plugrt_address(call, a->input);
    const float *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    float *output = plugrt_address(call, a->output);
    const int64_t blocks = (a->filters + LANES - 1) / LANES;
    const int64_t block_size
        = (int64_t)a->kernel[0] * a->kernel[1] * a->kernel[2] * a->channels * LANES;
    const int64_t heights = a->output_size[1], lines = a->output_size[0] * heights;
    const int64_t tasks = a->images * a->groups * blocks * lines;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t at = task % lines, block = task / lines % blocks;
        const int64_t group = task / lines / blocks % a->groups;
        const int64_t image = task / lines / blocks / a->groups;
        const int64_t filter = group * a->filters + block * LANES;
        const int64_t left = a->filters - block * LANES;
        const struct line line = {
            .input = input + image * a->input_stride[0]
                + group * a->channels * a->input_stride[1],
            .weights = weights + (group * blocks + block) * block_size,
            .bias = bias == NULL ? NULL : bias + filter,
            .output = output + image * a->output_stride[0] + filter * a->output_stride[1]
                + at / heights * a->output_stride[2] + at % heights * a->output_stride[3],
            .depth = (int)(at / heights),
            .height = (int)(at % heights),
            .filters = (int)(left < LANES ? left : LANES),
        };
        run_line(a, &line);
    }
    return 0;
}
