/* One line; included for each instruction set and width with RUN_LINE (the function's name),
 * LANES, and REACH (points of a step). */

#include "vectors_begin.h"

INLINED void LOCAL(find)(
    const struct direct *a, const struct line *line, struct footprint *found)
{
    found->planes = inside(a, 0, line->depth);
    found->rows = inside(a, 1, line->height);
    const int planes = found->planes.end - found->planes.first;
    const int rows = found->rows.end - found->rows.first;
    const int64_t whole = (int64_t)planes * rows * a->kernel[2] * a->channels;
    const int64_t before = (int64_t)found->planes.first * a->kernel[1] + found->rows.first;
    /* Rows left out between planes would leave gaps in the weights. */
    found->is_listed = whole <= MOST_STEPS && (planes <= 1 || rows == a->kernel[1]);
    found->weights = line->weights + before * a->kernel[2] * a->channels * LANES;
    found->count = 0;
    for (int c = 0; c < a->channels && c < MOST_STEPS; c++)
        found->channels[c] = c * a->input_stride[1];
    if (!found->is_listed)
        return;
    for (int d = found->planes.first; d < found->planes.end; d++)
        for (int h = found->rows.first; h < found->rows.end; h++)
            for (int w = 0; w < a->kernel[2]; w++)
                for (int c = 0; c < a->channels; c++)
                    found->elements[found->count++]
                        = distance(a, line, d, h, w) + c * a->input_stride[1];
}

/* Adds `count` elements at `places` behind `input`, each times its LANES weights. */
INLINED void LOCAL(add)(LOCAL(floats) *sum, const float *input, const int64_t *places, int count,
    int64_t next_point, const float *weights, int points)
{
    for (int k = 0; k < count; k++) {
        const float *element = input + places[k];
        LOCAL(floats) weight;
        memcpy(&weight, weights + (int64_t)k * LANES, sizeof weight);
#pragma GCC unroll 8
        for (int p = 0; p < points; p++)
            sum[p] += element[p * next_point] * weight;
    }
}

/* `points` neighbouring points from x on, all with these kernel columns; inlined with a constant
 * number of points. */
INLINED void LOCAL(step)(const struct direct *a, const struct line *line,
    const struct footprint *found, int x, struct range columns, int points)
{
    LOCAL(floats) sum[REACH], start = {0};
    if (line->bias != NULL)
        for (int lane = 0; lane < line->filters; lane++)
            start[lane] = line->bias[lane];
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p] = start;

    const int64_t next_point = a->stride[2] * a->input_stride[4];
    const float *input
        = line->input + ((int64_t)x * a->stride[2] - a->before[2]) * a->input_stride[4];
    if (found->is_listed && columns.end - columns.first == a->kernel[2]) {
        LOCAL(add)(sum, input, found->elements, found->count, next_point, found->weights, points);
    } else {
        for (int d = found->planes.first; d < found->planes.end; d++)
            for (int h = found->rows.first; h < found->rows.end; h++)
                for (int w = columns.first; w < columns.end; w++) {
                    const int64_t index = (int64_t)(d * a->kernel[1] + h) * a->kernel[2] + w;
                    const float *weights = line->weights + index * a->channels * LANES;
                    const float *element = input + distance(a, line, d, h, w);
                    for (int c = 0; c < a->channels; c += MOST_STEPS) {
                        const int left = a->channels - c;
                        LOCAL(add)(sum, element + c * a->input_stride[1], found->channels,
                            left < MOST_STEPS ? left : MOST_STEPS, next_point,
                            weights + (int64_t)c * LANES, points);
                    }
                }
    }

#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        float *output = line->output + (x + p) * a->output_stride[4];
        LOCAL(floats) value = sum[p];
        LOCAL(activate)(&a->activation, &value);
        if (line->filters == LANES && a->output_stride[1] == 1)
            memcpy(output, &value, sizeof value);
        else
            for (int lane = 0; lane < line->filters; lane++)
                output[lane * a->output_stride[1]] = value[lane];
    }
}

/* A point at the border, or in a short line. */
static __attribute__((noinline)) void LOCAL(single)(const struct direct *a,
    const struct line *line, const struct footprint *found, int x)
{
    LOCAL(step)(a, line, found, x, inside(a, 2, x), 1);
}

void RUN_LINE(const struct direct *a, const struct line *line)
{
    struct footprint found;
    LOCAL(find)(a, line, &found);
    const struct range whole = untouched(a, 2), columns = {0, a->kernel[2]};
    for (int x = 0; x < whole.first; x++)
        LOCAL(single)(a, line, &found, x);
    for (int x = whole.end; x < a->output_size[2]; x++)
        LOCAL(single)(a, line, &found, x);
    if (whole.end - whole.first < REACH) {
        for (int x = whole.first; x < whole.end; x++)
            LOCAL(single)(a, line, &found, x);
        return;
    }
    /* The last step may repeat some points. */
    for (int x = whole.first; x < whole.end; x += REACH) {
        const int at = x + REACH <= whole.end ? x : whole.end - REACH;
        LOCAL(step)(a, line, &found, at, columns, REACH);
    }
}

#include "vectors_end.h"
