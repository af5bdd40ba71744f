/* The work on one row of shallow.h.  A template: the including file defines SUFFIX, LANES (floats
 * of a vector) and POINTS (neighbouring outputs of a step, of two vectors each), and has chosen
 * the instruction set. */
#include "float_vectors.h"
#include "shallow.h"

#define ELEMENTS NAMED(shallow_elements, SUFFIX)
#define FILL NAMED(shallow_fill, SUFFIX)
#define ROUNDED NAMED(shallow_rounded, SUFFIX)
#define ADDED NAMED(shallow_added, SUFFIX)
#define SUMS NAMED(shallow_sums, SUFFIX)
#define PLACE NAMED(shallow_place, SUFFIX)
#define FETCH NAMED(shallow_fetch, SUFFIX)
#define STEP NAMED(shallow_step, SUFFIX)
#define PANEL NAMED(shallow_panel, SUFFIX)
#define ROW NAMED(shallow_row, SUFFIX)

/* What a step computes, constants where it is inlined. */
#define KIND int pairs, int stride, int points, int vectors
#define KIND_PASSED pairs, stride, points, vectors

/* The values rounded to bfloat16, as numbers. */
INLINED WORDS ROUNDED(VECTOR value)
{
    HALVES halves;
    STORE(&halves, value, 1, LANES);
    return __builtin_convertvector(halves, WORDS);
}

/* Adds the products of two vectors, of floats or of pairs of bfloat16 values. */
INLINED VECTOR ADDED(VECTOR sum, VECTOR x, VECTOR y, int pairs)
{
#if defined(__AVX512BF16__) && LANES == 16
    if (pairs)
        return (VECTOR)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
#elif defined(__AVX512BF16__) && LANES == 8
    if (pairs)
        return (VECTOR)_mm256_dpbf16_ps((__m256)sum, (__m256bh)x, (__m256bh)y);
#endif
    (void)pairs;
    return sum + x * y;
}

/* Elements of a line, from `lanes` of one row or two. */
INLINED VECTOR ELEMENTS(int pairs, const float *first, const float *second, int x, int lanes)
{
    VECTOR value = {0}, other = {0};
    if (first != NULL)
        value = LOAD(first + x, 0, lanes);
    if (!pairs)
        return value;
    if (second != NULL)
        other = LOAD(second + x, 0, lanes);
    return (VECTOR)(ROUNDED(value) | ROUNDED(other) << 16);
}

/* Fills a line with the part of an input row that a row of outputs sees, or with two rows as a
 * line of pairs; a row outside the image is NULL.  May write zeros behind the line. */
INLINED void FILL(const struct shallow_arguments *a, int pairs, const float *first,
    const float *second, float *line)
{
    const int before = a->before[1], width = a->input_size[1];
    const int count = before + width < a->line ? width : a->line - before;
    const VECTOR zero = {0};
    for (int x = 0; x < before; x += LANES)
        STORE(line + x, zero, 0, LANES);
    int x = 0;
    for (; x + LANES <= count; x += LANES)
        STORE(line + before + x, ELEMENTS(pairs, first, second, x, LANES), 0, LANES);
    if (x < count)
        STORE(line + before + x, ELEMENTS(pairs, first, second, x, count - x), 0, LANES);
    for (x = before + (count + LANES - 1) / LANES * LANES; x < a->line; x += LANES)
        STORE(line + x, zero, 0, LANES);
}

/* The sums of `points` outputs from one element on, over all lines. */
INLINED void SUMS(const struct shallow_arguments *a, KIND, int lines, const char *element,
    const char *weights, VECTOR *sum)
{
    const int columns = a->kernel[1];
    const int64_t line = a->line * sizeof(float);
    const int64_t apart = (stride == 0 ? a->stride[1] : stride) * sizeof(float);
    for (int k = 0; k < lines; k++, element += line) {
        const char *at = element;
        for (int w = 0; w < columns; w++, at += sizeof(float)) {
            VECTOR weight[2];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                memcpy(&weight[v], weights + v * sizeof(VECTOR), sizeof(VECTOR));
            weights += SHALLOW_PANEL * sizeof(float);
#pragma GCC unroll 16
            for (int p = 0; p < points; p++) {
                float value;
                memcpy(&value, at + p * apart, sizeof value);
                VECTOR spread = value - (VECTOR){0};
                if (vectors > 1)
                    KEEP_IN_REGISTER(spread);
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++) {
                    VECTOR *mine = &sum[p * vectors + v];
                    *mine = ADDED(*mine, spread, weight[v], pairs);
                }
            }
        }
    }
}

/* Where a channel of point x goes. */
INLINED char *PLACE(const struct shallow_arguments *a, const struct shallow_row *row, int x,
    int channel, int64_t bytes)
{
    return row->output
        + (channel / CHANNEL_BLOCK * a->output_stride[1] + channel % CHANNEL_BLOCK
              + x * a->output_stride[3])
        * bytes;
}

/* Fetches where the next step's outputs go: without it the stores would wait for memory. */
INLINED void FETCH(const struct shallow_arguments *a, const struct shallow_row *row, int x,
    int channel, int64_t bytes, int points, int vectors)
{
    if (x + points > a->output_size[1])
        return;
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        const char *output = PLACE(a, row, x, channel + v * LANES, bytes);
        if (channel + v * LANES < a->outputs)
#pragma GCC unroll 16
            for (int p = 0; p < points; p++, output += a->output_stride[3] * bytes)
                __builtin_prefetch(output, 1, 3);
    }
}

/* Points [x, x + points) and `vectors` vectors of channels from `channel` on. */
INLINED void STEP(const struct shallow_arguments *a, const struct shallow_row *row, int narrow,
    KIND, int lines, const char *first_line, const char *weights, int x, int channel)
{
    const int64_t bytes = narrow ? sizeof(uint16_t) : sizeof(float);
    const int step = stride == 0 ? a->stride[1] : stride;
    VECTOR sum[2 * POINTS];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        const int left = a->outputs - channel - v * LANES;
        VECTOR bias = {0};
        if (row->bias != NULL && left > 0)
            bias = LOAD(row->bias + channel + v * LANES, 0, left < LANES ? left : LANES);
#pragma GCC unroll 16
        for (int p = 0; p < points; p++)
            sum[p * vectors + v] = bias;
    }
    const int64_t pixel = a->output_stride[3] * bytes;
    FETCH(a, row, x + points, channel, bytes, points, vectors);
    SUMS(a, KIND_PASSED, lines, first_line + (int64_t)x * step * sizeof(float), weights, sum);
    ACTIVATE_ALL(&a->epilogue.first, sum, points * vectors);
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        const int first = channel + v * LANES, left = a->outputs - first;
        char *output = PLACE(a, row, x, first, bytes);
        if (left >= LANES) {
#pragma GCC unroll 16
            for (int p = 0; p < points; p++, output += pixel)
                STORE(output, sum[p * vectors + v], narrow, LANES);
        } else if (left > 0) {
#pragma GCC unroll 16
            for (int p = 0; p < points; p++, output += pixel)
                STORE(output, sum[p * vectors + v], narrow, left);
        }
    }
}

/* A whole row of `vectors` vectors of channels.  The last step may compute some points a second
 * time; in a row shorter than a step points are computed one by one. */
INLINED void PANEL(const struct shallow_arguments *a, const struct shallow_row *row, int narrow,
    int pairs, int stride, int vectors, int lines, const char *first_line, const char *weights,
    int channel)
{
    const int width = a->output_size[1];
    if (width < POINTS) {
        for (int x = 0; x < width; x++)
            STEP(a, row, narrow, pairs, 0, 1, vectors, lines, first_line, weights, x, channel);
        return;
    }
    for (int x = 0; x < width; x += POINTS)
        STEP(a, row, narrow, pairs, stride, POINTS, vectors, lines, first_line, weights,
            x + POINTS <= width ? x : width - POINTS, channel);
}

INLINED void ROW(
    const struct shallow_arguments *a, const struct shallow_row *row, int narrow, int pairs)
{
    _Alignas(64) float buffer[SHALLOW_LINE_BYTES / sizeof(float)];
    const struct shallow_arguments mine = *a; /* nothing that is stored can change it */
    const int heights = a->kernel[0], rows = a->channels * heights;
    const int lines = pairs ? (rows + 1) / 2 : rows;
    for (int k = 0; k < lines; k++) {
        const float *seen[2] = {NULL, NULL};
        for (int i = 0; i <= pairs; i++) {
            const int r = k * (1 + pairs) + i;
            const int y = row->row * a->stride[0] - a->before[0] + r % heights;
            if (r < rows && y >= 0 && y < a->input_size[0])
                seen[i] = row->input + r / heights * a->input_stride[1] + y * a->input_stride[2];
        }
        FILL(a, pairs, seen[0], seen[1], buffer + (int64_t)k * a->line);
    }
    const int64_t panel_bytes
        = (int64_t)lines * a->kernel[1] * SHALLOW_PANEL * sizeof(float);
    const char *weights = row->weights, *line = (const char *)buffer;
    for (int c = 0; c < a->outputs; c += SHALLOW_PANEL, weights += panel_bytes)
        for (int k = 0; k < SHALLOW_PANEL && c + k < a->outputs; k += 2 * LANES) {
            const char *part = weights + k * sizeof(float);
            const int two = a->outputs - c - k > LANES;
            if (two && a->stride[1] == 1)
                PANEL(&mine, row, narrow, pairs, 1, 2, lines, line, part, c + k);
            else if (two && a->stride[1] == 2)
                PANEL(&mine, row, narrow, pairs, 2, 2, lines, line, part, c + k);
            else if (two)
                PANEL(&mine, row, narrow, pairs, 0, 2, lines, line, part, c + k);
            else if (a->stride[1] == 2)
                PANEL(&mine, row, narrow, pairs, 2, 1, lines, line, part, c + k);
            else
                PANEL(&mine, row, narrow, pairs, 0, 1, lines, line, part, c + k);
        }
}

#define DEFINE_SHALLOW(name, narrow, pairs)                                                  \
    void NAMED(name, SUFFIX)(                                                                \
        const struct shallow_arguments *a, const struct shallow_row *row)                    \
    {                                                                                        \
        ROW(a, row, narrow, pairs);                                                          \
    }

DEFINE_SHALLOW(plugrt_shallow_float32, 0, 0)
DEFINE_SHALLOW(plugrt_shallow_bfloat16, 1, 0)
#ifdef __AVX512BF16__
DEFINE_SHALLOW(plugrt_shallow_pairs, 1, 1)
#endif
