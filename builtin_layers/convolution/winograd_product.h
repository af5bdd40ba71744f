/* The matrix products of winograd.h.  A template as direct_row.h: the including file defines
 * SUFFIX, LANES (floats of a vector) and ROWS (tiles per step; twice as many vectors are sums),
 * and has chosen the instruction set; it may define
 * WINOGRAD_ADD_PRODUCT(sum, word, weight), which adds to a vector of sums a word times a vector. */
#include "winograd.h"

#include <string.h>

#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)
#define VECTOR NAMED(winograd_vector, SUFFIX)
#ifndef WINOGRAD_ADD_PRODUCT
#define WINOGRAD_ADD_PRODUCT(sum, word, weight) ((sum) + (word) * (weight))
#endif

#define STEP NAMED(winograd_step, SUFFIX)
#define ROWS_OF NAMED(winograd_rows, SUFFIX)

typedef float VECTOR __attribute__((vector_size(LANES * sizeof(float))));

/* `rows` tiles times `vectors` vectors of the panel.  Inlined with
 * constant numbers of both. */
static inline __attribute__((always_inline)) void STEP(const float *transformed,
    int64_t next_block, const float *weights, float *product, int depth, int width, int rows,
    int vectors)
{
    VECTOR sum[ROWS][2];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sum[r][v] = (VECTOR){0};
    for (int c = 0; c < depth; c += WINOGRAD_BLOCK) {
        const int count = depth - c < WINOGRAD_BLOCK ? depth - c : WINOGRAD_BLOCK;
        for (int i = 0; i < count; i++) {
            VECTOR weight[2];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                memcpy(&weight[v], weights + v * LANES, sizeof weight[v]);
#pragma GCC unroll 14
            for (int r = 0; r < rows; r++) {
                const float word = transformed[r * WINOGRAD_BLOCK + i];
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    sum[r][v] = WINOGRAD_ADD_PRODUCT(sum[r][v], word, weight[v]);
            }
            weights += width;
        }
        transformed += next_block;
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            memcpy(product + r * WINOGRAD_PANEL + v * LANES, &sum[r][v], sizeof sum[r][v]);
}

#define CASE(n)                                                                              \
    case n:                                                                                  \
        STEP(transformed, next_block, weights, product, depth, width, n, vectors);        \
        break;

static inline __attribute__((always_inline)) void ROWS_OF(const float *transformed,
    int64_t next_block, const float *weights, float *product, int depth, int width, int rows,
    int vectors)
{
    switch (rows) {
        CASE(1) CASE(2) CASE(3)
#if ROWS > 3
        CASE(4) CASE(5) CASE(6)
#endif
#if ROWS > 6
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
#endif
    }
}

void NAMED(plugrt_winograd_product, SUFFIX)(const float *transformed, int64_t next_block,
    const float *weights, float *product, int depth, int rows, int width)
{
    const int steps = (rows + ROWS - 1) / ROWS;
    for (int k = 0; k < width; k += 2 * LANES)
        for (int s = 0; s < steps; s++) {
            const int first = rows * s / steps, end = rows * (s + 1) / steps;
            const float *from = transformed + first * WINOGRAD_BLOCK;
            float *to = product + first * WINOGRAD_PANEL + k;
            if (width - k >= 2 * LANES)
                ROWS_OF(from, next_block, weights + k, to, depth, width, end - first, 2);
            else
                ROWS_OF(from, next_block, weights + k, to, depth, width, end - first, 1);
        }
}

#undef CASE
#undef JOIN
#undef NAMED
#undef VECTOR
#undef STEP
#undef ROWS_OF
