/* The work on one row of a depthwise convolution of channels-last tensors.  A template as
 * direct_row.h: the including file defines ROW, BLOCK (channels per step) and POINTS (output
 * points per step), and has chosen the instruction set.
 *
 * Neighbouring channels are the vector, so each weight and each input element is a vector too. */
#include "direct.h"

#include <string.h>

#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)
#define VECTOR NAMED(vector, ROW)
#define MASK NAMED(mask, ROW)
#define ACTIVATE NAMED(activate, ROW)
#define ADD NAMED(add, ROW)
#define STEP NAMED(step, ROW)
#define CHANNELS NAMED(channels, ROW)

typedef float VECTOR __attribute__((vector_size(BLOCK * sizeof(float))));
typedef int32_t MASK __attribute__((vector_size(BLOCK * sizeof(int32_t))));

DEFINE_ACTIVATE(ACTIVATE, VECTOR, MASK)

/* Adds kernel columns [first, end) of one kernel row to the sums of `points` neighbouring outputs.
 * Inlined with constant columns and stride where these are common. */
static inline __attribute__((always_inline)) void ADD(VECTOR *sum, const float *input,
    int64_t pixel_stride, const float *weights, int channels, int first, int end, int dilation,
    int stride, int points)
{
    VECTOR weight, value;
#pragma GCC unroll 8
    for (int w = first; w < end; w++) {
        memcpy(&weight, weights + (int64_t)w * channels, sizeof weight);
#pragma GCC unroll 8
        for (int p = 0; p < points; p++) {
            memcpy(&value, input + (p * stride + w * dilation) * pixel_stride, sizeof value);
            sum[p] += value * weight;
        }
    }
}

/* BLOCK channels from c on of `points` neighbouring outputs from x on, which all see kernel
 * columns [first, end).  Inlined with a constant number of points. */
static inline __attribute__((always_inline)) void STEP(const struct direct_arguments *a,
    const struct direct_row *row, const struct direct_taps *taps, int x, int c, int first,
    int end, int points)
{
    VECTOR sum[POINTS];
    VECTOR initial = {0};
    if (row->bias != NULL)
        memcpy(&initial, row->bias + c, sizeof initial);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p] = initial;

    const int64_t pixel = a->input_stride[4];
    const int columns = end - first, stride = a->stride[2], dilation = a->dilation[2];
    const int whole = columns == a->kernel[2] && dilation == 1 && points == POINTS;
    const float *input = row->input + c + ((int64_t)x * stride - a->before[2]) * pixel;
    for (int d = taps->first[0]; d < taps->end[0]; d++)
        for (int h = taps->first[1]; h < taps->end[1]; h++) {
            const float *line = input + plugrt_tap_offset(a, row, d, h, 0);
            const float *weights = row->weights + c
                + (int64_t)(d * a->kernel[1] + h) * a->kernel[2] * row->channels;
            if (whole && columns == 3 && stride == 1)
                ADD(sum, line, pixel, weights, row->channels, 0, 3, 1, 1, points);
            else if (whole && columns == 3 && stride == 2)
                ADD(sum, line, pixel, weights, row->channels, 0, 3, 1, 2, points);
            else if (whole && columns == 5 && stride == 1)
                ADD(sum, line, pixel, weights, row->channels, 0, 5, 1, 1, points);
            else
                for (int w = first; w < end; w++)
                    ADD(sum, line, pixel, weights, row->channels, w, w + 1, dilation, stride,
                        points);
        }

#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        VECTOR value = sum[p];
        ACTIVATE(&a->activation, &value);
        memcpy(row->output + (x + p) * a->output_stride[4] + c, &value, sizeof value);
    }
}

/* All channels; the last step may compute some of them a second time. */
static inline __attribute__((always_inline)) void CHANNELS(const struct direct_arguments *a,
    const struct direct_row *row, const struct direct_taps *taps, int x, int points)
{
    int first, end;
    plugrt_seen(a, 2, x, &first, &end);
    for (int c = 0; c < row->channels; c += BLOCK)
        STEP(a, row, taps, x, c + BLOCK <= row->channels ? c : row->channels - BLOCK, first, end,
            points);
}

void ROW(const struct direct_arguments *a, const struct direct_row *row)
{
    const int width = a->output_size[2];
    struct direct_taps taps;
    plugrt_find_taps(a, row, row->channels, &taps);
    int begin = 0, end = width; /* of the points whose windows lose no column to padding */
    while (begin < width && !plugrt_sees_all(a, 2, begin))
        begin++;
    while (end > begin && !plugrt_sees_all(a, 2, end - 1))
        end--;
    const int tail = begin + (end - begin) / POINTS * POINTS;
    for (int x = begin; x < tail; x += POINTS)
        CHANNELS(a, row, &taps, x, POINTS);
    for (int x = 0; x < width; x++)
        if (x < begin || x >= tail)
            CHANNELS(a, row, &taps, x, 1);
}

#undef JOIN
#undef NAMED
#undef VECTOR
#undef MASK
#undef ACTIVATE
#undef ADD
#undef STEP
#undef CHANNELS
#undef ROW
#undef BLOCK
#undef POINTS
