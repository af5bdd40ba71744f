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
        ACTIVATE(&a->activation, &sum[p]);
        if (a->output_stride[1] == 1 && row->channels == BLOCK)
            memcpy(output, &sum[p], sizeof sum[p]);
        else
            for (int m = 0; m < row->channels; m++)
                output[m * a->output_stride[1]] = sum[p][m];
    }
}

void ROW(const struct direct_arguments *a, const struct direct_row *row)
{
    const int width = a->output_size[2];
    struct direct_taps taps;
    plugrt_find_taps(a, row, BLOCK, &taps);
    int x = 0;
    while (x < width) {
        int first, end, last_first, last_end;
        plugrt_seen(a, 2, x, &first, &end);
        if (x + POINTS <= width) {
            plugrt_seen(a, 2, x + POINTS - 1, &last_first, &last_end);
            if (first == 0 && last_first == 0 && end == a->kernel[2] && last_end == end) {
                STEP(a, row, &taps, x, 0, end, POINTS);
                x += POINTS;
                continue;
            }
        }
        STEP(a, row, &taps, x, first, end, 1);
        x++;
    }
}

#undef JOIN
#undef NAMED
#undef VECTOR
#undef MASK
#undef ACTIVATE
#undef ADD
#undef STEP
#undef ROW
#undef BLOCK
#undef POINTS
