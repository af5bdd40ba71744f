/* The work of product.h.  A template: the including file defines SUFFIX, LANES (floats of a
 * vector), MOST_VECTORS (of a step) and STEPS (calls STEP_OF(vectors, points) for each number of
 * vectors, with the number of points that then fit into registers), and has chosen the instruction
 * set. */
#include "float_vectors.h"
#include "product.h"

#define ADDED NAMED(product_added, SUFFIX)
#define SPREAD NAMED(product_spread, SUFFIX)
#define SUMS NAMED(product_sums, SUFFIX)
#define FETCH NAMED(product_fetch, SUFFIX)
#define STEP NAMED(product_step, SUFFIX)
#define ALL_POINTS NAMED(product_all_points, SUFFIX)
#define PANELS NAMED(product_panels, SUFFIX)
#define BLOCKS NAMED(product_blocks, SUFFIX)

enum { NAMED(product_sum_count, SUFFIX) = 24 };
#define MOST_SUMS NAMED(product_sum_count, SUFFIX)

#define POINT_BLOCK 48 /* a multiple of the points of every kind of step */
#define LITTLE_BYTES 20480 /* of weights that stay in the first-level cache */

/* How values are stored and multiplied, and what a step computes: constants where inlined. */
#define KIND int narrow, int pairs, int narrows, int vectors, int points
#define KIND_PASSED narrow, pairs, narrows, vectors, points

INLINED VECTOR ADDED(VECTOR sum, VECTOR x, VECTOR y, int pairs)
{
#if defined(__AVX512BF16__)
    if (pairs)
        return (VECTOR)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
#endif
    (void)pairs;
    return sum + x * y;
}

/* One input value, or a pair of them, in all lanes. */
INLINED VECTOR SPREAD(const char *from, int narrow, int pairs)
{
    uint32_t bits;
    if (narrow && !pairs) {
        uint16_t half;
        memcpy(&half, from, sizeof half);
        bits = (uint32_t)half << 16;
    } else {
        memcpy(&bits, from, sizeof bits);
    }
    return (VECTOR)(bits - (WORDS){0});
}

/* Adds the products of all input channels.  Every third point has an address of its own: the
 * others are reached from it. */
INLINED void SUMS(const struct product *a, KIND, const char *input, const char *weights,
    int64_t width, VECTOR *sum)
{
    const int64_t pixel = a->input_pixel;
    const int64_t step = narrow && !pairs ? sizeof(uint16_t) : sizeof(float);
    const int count = pairs ? a->inputs / 2 : a->inputs;
    (void)narrows;
    const char *at[8];
#pragma GCC unroll 8
    for (int p = 0; p < points; p += 3)
        at[p / 3] = input + p * pixel;
    for (int k = 0; k < count; k++, weights += width) {
        VECTOR weight[4];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            memcpy(&weight[v], weights + v * sizeof(VECTOR), sizeof(VECTOR));
#pragma GCC unroll 24
        for (int p = 0; p < points; p++) {
            VECTOR value = SPREAD(at[p / 3] + p % 3 * pixel, narrow, pairs);
            if (vectors > 1)
                KEEP_IN_REGISTER(value);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                VECTOR *mine = &sum[p * vectors + v];
                *mine = ADDED(*mine, value, weight[v], pairs);
            }
        }
#pragma GCC unroll 8
        for (int p = 0; p < points; p += 3) {
            at[p / 3] += step;
            KEEP_ADDRESS(at[p / 3]);
        }
    }
}

/* Fetches where the next step's outputs go: without it the stores would wait for memory. */
INLINED void FETCH(const struct product *a, int vectors, int points, int64_t bytes,
    int64_t point, int channel)
{
    const char *output = a->output + point * a->output_pixel + channel * bytes;
    if (!a->fetches || point + points > a->points)
        return;
#pragma GCC unroll 24
    for (int p = 0; p < points; p++, output += a->output_pixel)
#pragma GCC unroll 4
        for (int64_t line = 0; line < vectors * LANES * bytes; line += 64)
            __builtin_prefetch(output + line, 1, 3);
}

/* `points` points from one on and `vectors` vectors of output channels from `channel` on. */
INLINED void STEP(const struct product *a, KIND, int64_t point, int channel, const char *weights,
    int64_t width)
{
    const int64_t bytes = narrows ? sizeof(uint16_t) : sizeof(float);
    VECTOR sum[MOST_SUMS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const int left = a->outputs - channel - v * LANES;
        VECTOR bias = {0};
        if (a->bias != NULL && left > 0)
            bias = LOAD(a->bias + channel + v * LANES, 0, left < LANES ? left : LANES);
#pragma GCC unroll 24
        for (int p = 0; p < points; p++)
            sum[p * vectors + v] = bias;
    }
    FETCH(a, vectors, points, bytes, point + points, channel);
    SUMS(a, KIND_PASSED, a->input + point * a->input_pixel, weights, width, sum);
    ACTIVATE_ALL(a->first, sum, points * vectors);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const int first = channel + v * LANES, left = a->outputs - first;
        const int lanes = left < LANES ? left : LANES;
        if (left <= 0)
            break;
        char *output = a->output + point * a->output_pixel + first * bytes;
        if (a->added != NULL) {
            const char *added = a->added + point * a->added_pixel + first * bytes;
#pragma GCC unroll 24
            for (int p = 0; p < points; p++) {
                sum[p * vectors + v] += LOAD(added + p * a->added_pixel, narrows, lanes);
                ACTIVATE_ALL(a->second, &sum[p * vectors + v], 1);
            }
        }
        if (left >= LANES) {
#pragma GCC unroll 24
            for (int p = 0; p < points; p++)
                STORE(output + p * a->output_pixel, sum[p * vectors + v], narrows, LANES);
        } else {
#pragma GCC unroll 24
            for (int p = 0; p < points; p++)
                STORE(output + p * a->output_pixel, sum[p * vectors + v], narrows, left);
        }
    }
}

/* The last step may compute some points a second time, unless that would add to their outputs
 * twice; fewer points than a step has are computed one by one. */
INLINED void ALL_POINTS(const struct product *a, KIND, int from, int count, int channel,
    const char *weights, int64_t width)
{
    int point = from;
    count += from;
    for (; point + points <= count; point += points)
        STEP(a, KIND_PASSED, point, channel, weights, width);
    if (point < count && count - from >= points && a->added != a->output)
        STEP(a, KIND_PASSED, count - points, channel, weights, width);
    else
        for (; point < count; point++)
            STEP(a, narrow, pairs, narrows, vectors, 1, point, channel, weights, width);
}

#define STEP_OF(number, points)                                                              \
    if (vectors == number)                                                                   \
        ALL_POINTS(a, narrow, pairs, narrows, number, points, from, count, channel, weights, width)

/* All panels for `count` points from one on. */
INLINED void PANELS(
    const struct product *a, int narrow, int pairs, int narrows, int from, int count)
{
    const char *panel = a->weights;
    for (int first = 0; first < a->outputs; first += PRODUCT_PANEL) {
        const int left = (a->outputs - first + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK * CHANNEL_BLOCK;
        const int wide = left < PRODUCT_PANEL ? left : PRODUCT_PANEL;
        const int64_t width = wide * sizeof(float);
        for (int part = 0; part < wide; part += MOST_VECTORS * LANES) {
            const int vectors = (wide - part) / LANES < MOST_VECTORS ? (wide - part) / LANES
                                                                     : MOST_VECTORS;
            const int channel = first + part;
            const char *weights = panel + part * sizeof(float);
            STEPS
        }
        panel += (pairs ? a->inputs / 2 : a->inputs) * width;
    }
}

/* Few points at a time where the first-level cache holds all weights: outputs are then written one
 * behind the other. */
INLINED void BLOCKS(const struct product *product, int narrow, int pairs, int narrows)
{
    const struct product a = *product; /* nothing that is stored can change it */
    const int64_t bytes = (int64_t)a.inputs * a.outputs * (pairs ? 2 : 4);
    const int block = bytes <= LITTLE_BYTES ? POINT_BLOCK : a.points;
    for (int from = 0, count; from < a.points; from += count) {
        count = a.points - from < 2 * block ? a.points - from : block;
        PANELS(&a, narrow, pairs, narrows, from, count);
    }
}

#define DEFINE_PRODUCT(name, narrow, pairs, narrows)                                         \
    static void NAMED(name, SUFFIX)(const struct product *product)                           \
    {                                                                                        \
        BLOCKS(product, narrow, pairs, narrows);                                             \
    }

#ifdef __AVX512BF16__
DEFINE_PRODUCT(product_pairs, 1, 1, 1)
DEFINE_PRODUCT(product_widened_pairs, 1, 1, 0)

void NAMED(plugrt_product, SUFFIX)(const struct product *a)
{
    (a->narrows ? NAMED(product_pairs, SUFFIX) : NAMED(product_widened_pairs, SUFFIX))(a);
}
#else
DEFINE_PRODUCT(product_float32, 0, 0, 0)
DEFINE_PRODUCT(product_bfloat16, 1, 0, 1)
DEFINE_PRODUCT(product_widened, 1, 0, 0)

void NAMED(plugrt_product, SUFFIX)(const struct product *a)
{
    if (!a->narrow)
        NAMED(product_float32, SUFFIX)(a);
    else
        (a->narrows ? NAMED(product_bfloat16, SUFFIX) : NAMED(product_widened, SUFFIX))(a);
}
#endif
