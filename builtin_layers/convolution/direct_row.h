/* The work on one row of a direct convolution.  A template: the including file defines ROW (the
 * function's name), BLOCK (output channels per step) and POINTS (output points per step), and has
 * chosen the instruction set.  Vector types are lowered for the instruction set of the function
 * that they stand in, before it is inlined: hence one file per instruction set. */
#include "direct.h"

#include <string.h>

#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)
#define VECTOR NAMED(vector, ROW)
#define MASK NAMED(mask, ROW)
#define ACTIVATE NAMED(activate, ROW)
#define ADD NAMED(add, ROW)
#define STEP NAMED(step, ROW)
#define SINGLE NAMED(single, ROW)

typedef float VECTOR __attribute__((vector_size(BLOCK * sizeof(float))));
typedef int32_t MASK __attribute__((vector_size(BLOCK * sizeof(int32_t))));

DEFINE_ACTIVATE(ACTIVATE, VECTOR, MASK)

/* Adds `count` taps, each an input element `offsets` from `input` and a vector of weights, to the
 * sums of `points` neighbouring outputs. */
static inline __attribute__((always_inline)) void ADD(VECTOR *sum, const float *input,
    const int64_t *offsets, int count, int64_t point_stride, const float *weights, int points)
{
    for (int k = 0; k < count; k++) {
        const float *element = input + offsets[k];
        VECTOR weight;
        memcpy(&weight, weights + (int64_t)k * BLOCK, sizeof weight);
#pragma GCC unroll 8
        for (int p = 0; p < points; p++)
            sum[p] += element[p * point_stride] * weight;
    }
}

/* `points` neighbouring outputs from x on, which all see kernel columns [first, end).  Inlined
 * with a constant number of points. */
static inline __attribute__((always_inline)) void STEP(const struct direct_arguments *a,
    const struct direct_row *row, const struct direct_taps *taps, int x, int first, int end,
    int points)
{
    VECTOR sum[POINTS];
    VECTOR initial = {0};
    if (row->bias != NULL)
        for (int m = 0; m < row->channels; m++)
            initial[m] = row->bias[m];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p] = initial;

    const int64_t point_stride = a->stride[2] * a->input_stride[4];
    const float *input
        = row->input + ((int64_t)x * a->stride[2] - a->before[2]) * a->input_stride[4];
    if (end - first == a->kernel[2] && taps->complete) {
        ADD(sum, input, taps->offsets, taps->count, point_stride, taps->weights, points);
    } else {
        for (int d = taps->first[0]; d < taps->end[0]; d++)
            for (int h = taps->first[1]; h < taps->end[1]; h++)
                for (int w = first; w < end; w++) {
                    const int64_t tap = (int64_t)(d * a->kernel[1] + h) * a->kernel[2] + w;
                    const float *element = input + plugrt_tap_offset(a, row, d, h, w);
                    const float *weights = row->weights + tap * a->channels * BLOCK;
                    for (int c = 0; c < a->channels; c += DIRECT_TAPS) {
                        const int rest = a->channels - c;
                        ADD(sum, element + c * a->input_stride[1], taps->channel_offsets,
                            rest < DIRECT_TAPS ? rest : DIRECT_TAPS, point_stride,
                            weights + (int64_t)c * BLOCK, points);
                    }
                }
    }

#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        float *output = row->output + (x + p) * a->output_stride[4];
        VECTOR value = sum[p];
        ACTIVATE(&a->activation, &value);
        if (a->output_stride[1] == 1 && row->channels == BLOCK)
            memcpy(output, &value, sizeof value);
        else
            for (int m = 0; m < row->channels; m++)
                output[m * a->output_stride[1]] = value[m];
    }
}

/* One output alone: at the borders, and in rows shorter than a step. */
static __attribute__((noinline)) void SINGLE(const struct direct_arguments *a,
    const struct direct_row *row, const struct direct_taps *taps, int x)
{
    int first, end;
    plugrt_seen(a, 2, x, &first, &end);
    STEP(a, row, taps, x, first, end, 1);
}

void ROW(const struct direct_arguments *a, const struct direct_row *row)
{
    const int width = a->output_size[2];
    struct direct_taps taps;
    plugrt_find_taps(a, row, BLOCK, &taps);
    int begin = 0, end = width; /* of the points whose windows lose no column to padding */
    for (; begin < width && !plugrt_sees_all(a, 2, begin); begin++)
        SINGLE(a, row, &taps, begin);
    for (; end > begin && !plugrt_sees_all(a, 2, end - 1); end--)
        SINGLE(a, row, &taps, end - 1);
    if (end - begin < POINTS) {
        for (int x = begin; x < end; x++)
            SINGLE(a, row, &taps, x);
        return;
    }
    /* The last step may compute some points a second time. */
    for (int x = begin; x < end; x += POINTS)
        STEP(a, row, &taps, x + POINTS <= end ? x : end - POINTS, 0, a->kernel[2], POINTS);
}

#undef JOIN
#undef NAMED
#undef VECTOR
#undef MASK
#undef ACTIVATE
#undef ADD
#undef STEP
#undef SINGLE
#undef ROW
#undef BLOCK
#undef POINTS
