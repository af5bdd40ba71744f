/* Maximum pooling; padding never wins. */
#include "windows.h"

#include <math.h>

enum { CHUNK = 64 }; /* channels kept in registers: 4 of AVX-512, 8 of AVX2 */

/* The maximum over one window for `count` channels, at most CHUNK.  Inlined with a constant
 * count, the accumulators stay in registers. */
#define DEFINE_MAXIMUM(suffix, type, lowest)                                                 \
    static inline __attribute__((always_inline)) void window_##suffix(                       \
        const struct pooling_arguments *a, const struct window_range ranges[3],              \
        const type *input, type *restrict output, int count)                                 \
    {                                                                                        \
        type best[CHUNK];                                                                    \
        for (int c = 0; c < count; c++)                                                      \
            best[c] = lowest;                                                                \
        for (int d = 0; d < ranges[0].count; d++)                                            \
            for (int h = 0; h < ranges[1].count; h++) {                                      \
                const type *point = input                                                    \
                    + (ranges[0].first + d * a->dilation[0]) * a->input_stride[2]            \
                    + (ranges[1].first + h * a->dilation[1]) * a->input_stride[3]            \
                    + ranges[2].first * a->input_stride[4];                                  \
                for (int w = 0; w < ranges[2].count; w++) {                                  \
                    for (int c = 0; c < count; c++)                                          \
                        best[c] = point[c] > best[c] ? point[c] : best[c];                   \
                    point += a->dilation[2] * a->input_stride[4];                            \
                }                                                                            \
            }                                                                                \
        for (int c = 0; c < count; c++)                                                      \
            output[c] = best[c];                                                             \
    }                                                                                        \
    TARGET_CLONES static void row_##suffix(const struct pooling_arguments *a,                \
        const struct pooling_row *row, const void *from, void *to)                           \
    {                                                                                        \
        const type *input = from;                                                            \
        type *output = to;                                                                   \
        struct window_range ranges[3];                                                       \
        ranges[0] = window_range(a, 0, row->depth);                                          \
        ranges[1] = window_range(a, 1, row->height);                                         \
        for (int w = 0; w < a->output_size[2]; w++, output += a->output_stride[4]) {         \
            ranges[2] = window_range(a, 2, w);                                               \
            int c = row->begin;                                                              \
            for (; c + CHUNK <= row->end; c += CHUNK)                                        \
                window_##suffix(a, ranges, input + c, output + c, CHUNK);                    \
            for (; c + 16 <= row->end; c += 16)                                              \
                window_##suffix(a, ranges, input + c, output + c, 16);                       \
            for (; c + 8 <= row->end; c += 8)                                                \
                window_##suffix(a, ranges, input + c, output + c, 8);                        \
            for (; c < row->end; c++)                                                        \
                window_##suffix(a, ranges, input + c, output + c, 1);                        \
        }                                                                                    \
    }

DEFINE_MAXIMUM(float32, float, -INFINITY)
DEFINE_MAXIMUM(int8, int8_t, INT8_MIN)
DEFINE_MAXIMUM(uint8, uint8_t, 0)

LAYER_KERNEL(plugrt_max_pooling_float32)
{
    return plugrt_run_pooling(args, call, sizeof(float), row_float32);
}

LAYER_KERNEL(plugrt_max_pooling_int8)
{
    return plugrt_run_pooling(args, call, sizeof(int8_t), row_int8);
}

LAYER_KERNEL(plugrt_max_pooling_uint8)
{
    return plugrt_run_pooling(args, call, sizeof(uint8_t), row_uint8);
}
