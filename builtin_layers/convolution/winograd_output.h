/* The output transform of winograd.h.  A template as direct_row.h: the including file defines
 * SUFFIX, LANES (floats of a vector) and TILE (2 or 4), and has chosen the instruction set; it may define
 * WINOGRAD_ELEMENT, of which outputs and operands are, with WINOGRAD_READ and WINOGRAD_WRITE. */
#include "winograd.h"
#include "winograd_points.h"

#include <string.h>

#define JOIN3(a, b, c) a##_##b##_##c
#define NAMED3(a, b, c) JOIN3(a, b, c)
#define VECTOR NAMED3(winograd_output_vector, TILE, SUFFIX)
#define MASK NAMED3(winograd_mask, TILE, SUFFIX)
#define LOAD NAMED3(winograd_output_load, TILE, SUFFIX)
#define ACTIVATE NAMED3(winograd_activate, TILE, SUFFIX)
#define BACK NAMED3(winograd_back, TILE, SUFFIX)
#define BACKWARD NAMED3(winograd_backward, TILE, SUFFIX)
#define FETCH NAMED3(winograd_fetch, TILE, SUFFIX)
#define STORE NAMED3(winograd_store, TILE, SUFFIX)

#define SIZE (TILE + 2)
#define AHEAD (TILE == 2 ? 4 : 1) /* tiles that take as long as memory */
#define INLINED static inline __attribute__((always_inline))

typedef float VECTOR __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t MASK __attribute__((vector_size(LANES * sizeof(int32_t))));

INLINED VECTOR LOAD(const float *from)
{
    VECTOR value;
    memcpy(&value, from, sizeof value);
    return value;
}

#ifndef WINOGRAD_LEAKY
#define WINOGRAD_LEAKY(x, slope) (VECTOR) SELECTED(MASK, (x) > 0, x, (x) * (slope))
#define WINOGRAD_LOWER(x, bound) (VECTOR) SELECTED(MASK, (x) > (bound), bound, x)
#define WINOGRAD_RAISE(x, bound) (VECTOR) SELECTED(MASK, (x) < (bound), bound, x)
#define WINOGRAD_CLIP(x, low, high) WINOGRAD_LOWER(WINOGRAD_RAISE(x, low), high)
#endif

#ifndef WINOGRAD_ELEMENT
#define WINOGRAD_ELEMENT float
#define WINOGRAD_READ(value, from, channels) \
    memcpy(&(value), from, (size_t)(channels) * sizeof(float))
#define WINOGRAD_WRITE(to, value, channels) \
    memcpy(to, &(value), (size_t)(channels) * sizeof(float))
#endif

/* Transforms SIZE products along one axis back to TILE outputs. */
INLINED void BACK(const VECTOR *m, VECTOR *y)
{
#if TILE == 4
    const VECTOR sum_a = m[1] + m[2], difference_a = m[1] - m[2];
    const VECTOR sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = WINOGRAD_A * difference_a + WINOGRAD_B * difference_b;
    y[2] = WINOGRAD_A2 * sum_a + WINOGRAD_B2 * sum_b;
    y[3] = m[5] + WINOGRAD_A * WINOGRAD_A2 * difference_a
        + WINOGRAD_B * WINOGRAD_B2 * difference_b;
#else
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
#endif
}

INLINED void BACKWARD(const float *from, VECTOR (*y)[TILE])
{
    VECTOR half[TILE][SIZE];
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++) {
        VECTOR m[SIZE], column[TILE];
#pragma GCC unroll 6
        for (int i = 0; i < SIZE; i++)
            m[i] = LOAD(from + (i * SIZE + j) * WINOGRAD_PRODUCT);
        BACK(m, column);
#pragma GCC unroll 4
        for (int i = 0; i < TILE; i++)
            half[i][j] = column[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++)
        BACK(half[i], y[i]);
}

INLINED void ACTIVATE(const struct activation *activation, VECTOR (*y)[TILE])
{
    const VECTOR zero = {0};
    if (activation->kind == ACTIVATION_LEAKY) {
        const VECTOR slope = zero + activation->slope;
#pragma GCC unroll 4
        for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
            for (int j = 0; j < TILE; j++)
                y[i][j] = WINOGRAD_LEAKY(y[i][j], slope);
    } else if (activation->kind == ACTIVATION_CLIP) {
        const VECTOR low = zero + activation->low, high = zero + activation->high;
#pragma GCC unroll 4
        for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
            for (int j = 0; j < TILE; j++)
                y[i][j] = WINOGRAD_CLIP(y[i][j], low, high);
    }
}

/* Transforms LANES channels of a tile back and stores its first `rows` x `columns` outputs, of
 * them the first `channels` channels.  Inlined with constants where the tile is whole. */
INLINED void STORE(const struct winograd_arguments *a, const float *product, VECTOR bias,
    const WINOGRAD_ELEMENT *operand, WINOGRAD_ELEMENT *output, int rows, int columns,
    int channels)
{
    const int64_t *operand_stride = a->epilogue.stride[0];
    VECTOR y[TILE][TILE];
    BACKWARD(product, y);
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE; j++)
            y[i][j] += bias;
    ACTIVATE(&a->epilogue.first, y);
    if (operand != NULL) {
#pragma GCC unroll 4
        for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
            for (int j = 0; j < TILE; j++)
                if (i < rows && j < columns) {
                    VECTOR added = {0};
                    WINOGRAD_READ(added,
                        operand + i * operand_stride[2] + j * operand_stride[3], channels);
                    y[i][j] += added;
                }
        ACTIVATE(&a->epilogue.second, y);
    }
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE; j++)
            if (i < rows && j < columns)
                WINOGRAD_WRITE(output + i * a->output_stride[2] + j * a->output_stride[3],
                    y[i][j], channels);
}

/* Fetches where a later tile's outputs go: without it the stores would wait for memory. */
INLINED void FETCH(
    const struct winograd_arguments *a, const WINOGRAD_ELEMENT *output, int rows)
{
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE; j++)
            if (i < rows)
                __builtin_prefetch(
                    output + i * a->output_stride[2] + j * a->output_stride[3], 1, 3);
}

void NAMED3(plugrt_winograd_output, TILE, SUFFIX)(const struct winograd_call *call,
    const struct winograd_chunk *chunk, const float *product, int channel, int width)
{
    const struct winograd_arguments *a = call->arguments;
    const int left = a->outputs - channel;
    struct winograd_place place = winograd_place_of(call, chunk->first);
    struct winograd_place later = winograd_place_of(call, chunk->first + AHEAD);
    for (int t = 0; t < chunk->rows; t++, winograd_advance(call, &place)) {
        const int later_rows = a->output_size[0] - later.row;
        const int64_t later_to = winograd_offset(a->output_stride, &later);
        winograd_advance(call, &later);
        const int rows = a->output_size[0] - place.row;
        const int columns = a->output_size[1] - place.column;
        const int64_t from = winograd_offset(a->epilogue.stride[0], &place);
        const int64_t to = winograd_offset(a->output_stride, &place);
        for (int k = 0; k < width && k < left; k += LANES) {
            const int channels = left - k < LANES ? left - k : LANES;
            const int block = (channel + k) / WINOGRAD_BLOCK, lane = k % WINOGRAD_BLOCK;
            const float *products = product + t * WINOGRAD_PANEL + k;
            const WINOGRAD_ELEMENT *operand = a->epilogue.adds_operand
                ? (const WINOGRAD_ELEMENT *)call->tensors.operand[0] + from
                    + block * a->epilogue.stride[0][1] + lane
                : NULL;
            WINOGRAD_ELEMENT *output
                = (WINOGRAD_ELEMENT *)call->output + block * a->output_stride[1] + lane;
            if (later.image < a->batch)
                FETCH(a, output + later_to, later_rows < TILE ? later_rows : TILE);
            output += to;
            VECTOR bias = {0};
            if (call->bias != NULL)
                memcpy(&bias, call->bias + channel + k, (size_t)channels * sizeof(float));
            if (rows >= TILE && columns >= TILE && channels == LANES)
                STORE(a, products, bias, operand, output, TILE, TILE, LANES);
            else
                STORE(a, products, bias, operand, output, rows, columns, channels);
        }
    }
}

#undef SIZE
#undef AHEAD
#undef INLINED
#undef JOIN3
#undef NAMED3
#undef VECTOR
#undef LOAD
#undef ACTIVATE
#undef BACK
#undef BACKWARD
#undef FETCH
#undef STORE
#undef MASK
