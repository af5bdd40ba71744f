/* The input transform of winograd.h.  A template as direct_row.h: the including file defines
 * SUFFIX, LANES (floats of a vector) and TILE (2 or 4), and has chosen the instruction set. */
#include "winograd.h"
#include "winograd_points.h"

#include <string.h>

#define JOIN3(a, b, c) a##_##b##_##c
#define NAMED3(a, b, c) JOIN3(a, b, c)
#define VECTOR NAMED3(winograd_input_vector, TILE, SUFFIX)
#define LOAD NAMED3(winograd_input_load, TILE, SUFFIX)
#define ALONG NAMED3(winograd_along, TILE, SUFFIX)
#define FORWARD NAMED3(winograd_forward, TILE, SUFFIX)
#define GATHER NAMED3(winograd_gather, TILE, SUFFIX)

#define SIZE (TILE + 2)
#define INLINED static inline __attribute__((always_inline))

typedef float VECTOR __attribute__((vector_size(LANES * sizeof(float))));

INLINED VECTOR LOAD(const float *from)
{
    VECTOR value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* Transforms a row and stores the results at neighbouring positions. */
INLINED void ALONG(const VECTOR *d, float *to)
{
    VECTOR result[SIZE];
#if TILE == 4
    const VECTOR even_a = WINOGRAD_EVEN_A(d[2], d[4]), odd_a = WINOGRAD_ODD_A(d[1], d[3]);
    const VECTOR even_b = WINOGRAD_EVEN_B(d[2], d[4]), odd_b = WINOGRAD_ODD_B(d[1], d[3]);
    result[0] = WINOGRAD_END_4(d[0], d[2], d[4]);
    result[1] = even_a + odd_a;
    result[2] = even_a - odd_a;
    result[3] = even_b + odd_b;
    result[4] = even_b - odd_b;
    result[5] = WINOGRAD_END_4(d[1], d[3], d[5]);
#else
    result[0] = d[0] - d[2];
    result[1] = d[1] + d[2];
    result[2] = d[2] - d[1];
    result[3] = d[1] - d[3];
#endif
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++)
        memcpy(to + j * WINOGRAD_POSITION, &result[j], sizeof result[j]);
}

/* Transforms the SIZE x SIZE points at `from`.  Row by row of the result, so that what lies
 * between the two passes stays in registers. */
static __attribute__((noinline)) void FORWARD(
    const float *from, int64_t row, int64_t pixel, float *to)
{
#define AT(i, j) LOAD(from + (i) * row + (j) * pixel)
    VECTOR one[SIZE], other[SIZE];
#if TILE == 4
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++)
        one[j] = WINOGRAD_END_4(AT(0, j), AT(2, j), AT(4, j));
    ALONG(one, to);
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++) {
        const VECTOR even = WINOGRAD_EVEN_A(AT(2, j), AT(4, j));
        const VECTOR odd = WINOGRAD_ODD_A(AT(1, j), AT(3, j));
        one[j] = even + odd;
        other[j] = even - odd;
    }
    ALONG(one, to + 1 * SIZE * WINOGRAD_POSITION);
    ALONG(other, to + 2 * SIZE * WINOGRAD_POSITION);
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++) {
        const VECTOR even = WINOGRAD_EVEN_B(AT(2, j), AT(4, j));
        const VECTOR odd = WINOGRAD_ODD_B(AT(1, j), AT(3, j));
        one[j] = even + odd;
        other[j] = even - odd;
    }
    ALONG(one, to + 3 * SIZE * WINOGRAD_POSITION);
    ALONG(other, to + 4 * SIZE * WINOGRAD_POSITION);
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; j++)
        one[j] = WINOGRAD_END_4(AT(1, j), AT(3, j), AT(5, j));
    ALONG(one, to + 5 * SIZE * WINOGRAD_POSITION);
#else
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++) {
        one[j] = AT(0, j) - AT(2, j);
        other[j] = AT(1, j) - AT(3, j);
    }
    ALONG(one, to);
    ALONG(other, to + 3 * SIZE * WINOGRAD_POSITION);
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++) {
        one[j] = AT(1, j) + AT(2, j);
        other[j] = AT(2, j) - AT(1, j);
    }
    ALONG(one, to + 1 * SIZE * WINOGRAD_POSITION);
    ALONG(other, to + 2 * SIZE * WINOGRAD_POSITION);
#endif
#undef AT
}

/* Copies the points of a tile that reaches beyond the input, or `channels` that are no whole
 * block, to `to` with zeros in place of what is missing. */
static void GATHER(const struct winograd_call *call, const float *from, int row, int column,
    int channels, float *to)
{
    const struct winograd_arguments *a = call->arguments;
    const size_t bytes = (size_t)channels * sizeof(float);
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++, to += WINOGRAD_BLOCK) {
            const int y = row + i, x = column + j;
            const int inside
                = y >= 0 && y < a->input_size[0] && x >= 0 && x < a->input_size[1];
            const float *point = from + y * a->input_stride[2] + x * a->input_stride[3];
            if (inside && channels == WINOGRAD_BLOCK) {
                memcpy(to, point, WINOGRAD_BLOCK * sizeof(float));
            } else {
                memset(to, 0, WINOGRAD_BLOCK * sizeof(float));
                if (inside)
                    memcpy(to, point, bytes);
            }
        }
}

void NAMED3(plugrt_winograd_input, TILE, SUFFIX)(
    const struct winograd_call *call, const struct winograd_chunk *chunk, int begin, int end)
{
    const struct winograd_arguments *a = call->arguments;
    struct winograd_place place = winograd_place_of(call, chunk->first + begin);
    for (int t = begin; t < end; t++, winograd_advance(call, &place)) {
        const int row = place.row - a->before[0], column = place.column - a->before[1];
        const int inside = row >= 0 && row + SIZE <= a->input_size[0] && column >= 0
            && column + SIZE <= a->input_size[1];
        const float *image = (const float *)call->input + place.image * a->input_stride[0];
        float *to = chunk->transformed + t * WINOGRAD_BLOCK;
        for (int b = 0; b < call->blocks; b++, to += SIZE * SIZE * WINOGRAD_POSITION) {
            const int left = a->channels - b * WINOGRAD_BLOCK;
            const float *from = image + b * a->input_stride[1];
            int64_t row_stride = a->input_stride[2], pixel_stride = a->input_stride[3];
            float patch[SIZE * SIZE * WINOGRAD_BLOCK];
            if (inside && left >= WINOGRAD_BLOCK) {
                from += row * row_stride + column * pixel_stride;
            } else {
                GATHER(call, from, row, column, left < WINOGRAD_BLOCK ? left : WINOGRAD_BLOCK,
                    patch);
                from = patch;
                row_stride = SIZE * WINOGRAD_BLOCK;
                pixel_stride = WINOGRAD_BLOCK;
            }
            for (int lane = 0; lane < WINOGRAD_BLOCK; lane += LANES)
                FORWARD(from + lane, row_stride, pixel_stride, to + lane);
        }
    }
}

#undef SIZE
#undef INLINED
#undef JOIN3
#undef NAMED3
#undef VECTOR
#undef LOAD
#undef ALONG
#undef FORWARD
#undef GATHER
