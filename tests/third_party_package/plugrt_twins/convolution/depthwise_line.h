/* One line of a depthwise convolution; included as direct_line.h is.  The vectors are neighbouring
 * channels, of the input as of the weights. */
#include "vectors_begin.h"

/* Adds kernel columns [first, end) of a kernel row to `points` neighbouring sums; inlined with
 * constants where the case is common. */
INLINED void LOCAL(add)(LOCAL(floats) *sum, const float *input, int64_t next_pixel,
    const float *weights, int channels, struct range columns, int gap, int stride, int points)
{
    LOCAL(floats) weight, value;
#pragma GCC unroll 8
    for (int w = columns.first; w < columns.end; w++) {
        memcpy(&weight, weights + (int64_t)w * channels, sizeof weight);
#pragma GCC unroll 8
        for (int p = 0; p < points; p++) {
            memcpy(&value, input + (p * stride + w * gap) * next_pixel, sizeof value);
            sum[p] += value * weight;
        }
    }
}

/* LANES channels from c on, of `points` neighbouring points from x on. */
INLINED void LOCAL(step)(const struct direct *a, const struct line *line, struct range planes,
    struct range rows, struct range columns, int x, int c, int points)
{
    LOCAL(floats) sum[REACH], start = {0};
    if (line->bias != NULL)
        memcpy(&start, line->bias + c, sizeof start);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p] = start;

    const int64_t next_pixel = a->input_stride[4];
    const int size = a->kernel[2], stride = a->stride[2], gap = a->dilation[2];
    const int is_dense = points == REACH && gap == 1 && columns.end - columns.first == size;
    const float *input = line->input + c + ((int64_t)x * stride - a->before[2]) * next_pixel;
    const struct range three = {0, 3}, five = {0, 5};
    for (int d = planes.first; d < planes.end; d++)
        for (int h = rows.first; h < rows.end; h++) {
            const float *pixels = input + distance(a, line, d, h, 0);
            const float *weights
                = line->weights + c + (int64_t)(d * a->kernel[1] + h) * size * line->filters;
            if (is_dense && size == 3 && stride == 1)
                LOCAL(add)(sum, pixels, next_pixel, weights, line->filters, three, 1, 1, points);
            else if (is_dense && size == 3 && stride == 2)
                LOCAL(add)(sum, pixels, next_pixel, weights, line->filters, three, 1, 2, points);
            else if (is_dense && size == 5 && stride == 1)
                LOCAL(add)(sum, pixels, next_pixel, weights, line->filters, five, 1, 1, points);
            else
                for (int w = columns.first; w < columns.end; w++) {
                    const struct range one = {w, w + 1};
                    LOCAL(add)(sum, pixels, next_pixel, weights, line->filters, one, gap, stride,
                        points);
                }
        }

#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        LOCAL(floats) value = sum[p];
        LOCAL(activate)(&a->activation, &value);
        memcpy(line->output + (x + p) * a->output_stride[4] + c, &value, sizeof value);
    }
}

/* All channels, at least LANES of them; the last step may repeat some. */
INLINED void LOCAL(points)(const struct direct *a, const struct line *line, struct range planes,
    struct range rows, int x, int points)
{
    const struct range columns = inside(a, 2, x);
    for (int c = 0; c < line->filters; c += LANES)
        LOCAL(step)(a, line, planes, rows, columns, x,
            c + LANES <= line->filters ? c : line->filters - LANES, points);
}

void RUN_LINE(const struct direct *a, const struct line *line)
{
    const struct range planes = inside(a, 0, line->depth), rows = inside(a, 1, line->height);
    const struct range whole = untouched(a, 2);
    const int end = whole.first + (whole.end - whole.first) / REACH * REACH;
    for (int x = whole.first; x < end; x += REACH)
        LOCAL(points)(a, line, planes, rows, x, REACH);
    for (int x = 0; x < whole.first; x++)
        LOCAL(points)(a, line, planes, rows, x, 1);
    for (int x = end; x < a->output_size[2]; x++)
        LOCAL(points)(a, line, planes, rows, x, 1);
}

#include "vectors_end.h"
