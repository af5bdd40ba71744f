/* Average pooling, for quantised types on the input's and output's own scales. */
#include "windows.h"

#include <math.h>

enum { CHUNK = 64 }; /* channels kept in registers */

/* The mean over one window for `count` channels, at most CHUNK. `factor` is one over the number
 * of elements; quantised, `shift` and `zero` are the two zero points. */
#define DEFINE_AVERAGE(suffix, type, sum_type, STORE)                                        \
    static inline __attribute__((always_inline)) void window_##suffix(                       \
        const struct pooling_arguments *a, const struct window_range ranges[3],              \
        float factor, float shift, const type *input, type *restrict output, int count)      \
    {                                                                                        \
        sum_type sum[CHUNK];                                                                 \
        for (int c = 0; c < count; c++)                                                      \
            sum[c] = 0;                                                                      \
        for (int d = 0; d < ranges[0].count; d++)                                            \
            for (int h = 0; h < ranges[1].count; h++) {                                      \
                const type *point = input + (ranges[0].first + d) * a->input_stride[2]       \
                    + (ranges[1].first + h) * a->input_stride[3]                             \
                    + ranges[2].first * a->input_stride[4];                                  \
                for (int w = 0; w < ranges[2].count; w++) {                                  \
                    for (int c = 0; c < count; c++)                                          \
                        sum[c] += point[c];                                                  \
                    point += a->input_stride[4];                                             \
                }                                                                            \
            }                                                                                \
        for (int c = 0; c < count; c++)                                                      \
            output[c] = STORE;                                                               \
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
            float valid = (float)ranges[0].count * ranges[1].count * ranges[2].count;        \
            float room = (float)ranges[0].room * ranges[1].room * ranges[2].room;            \
            float factor = a->ratio / (a->include_padding ? room : valid);                   \
            float shift = valid * a->input_zero;                                             \
            int c = row->begin;                                                              \
            for (; c + CHUNK <= row->end; c += CHUNK)                                        \
                window_##suffix(a, ranges, factor, shift, input + c, output + c, CHUNK);     \
            for (; c + 16 <= row->end; c += 16)                                              \
                window_##suffix(a, ranges, factor, shift, input + c, output + c, 16);        \
            for (; c + 8 <= row->end; c += 8)                                                \
                window_##suffix(a, ranges, factor, shift, input + c, output + c, 8);         \
            for (; c < row->end; c++)                                                        \
                window_##suffix(a, ranges, factor, shift, input + c, output + c, 1);         \
        }                                                                                    \
    }

static inline float limited(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

#define QUANTISED(low, high)                                                                 \
    limited(rintf(((float)sum[c] - shift) * factor) + (float)a->output_zero, low, high)
#define PLAIN (sum[c] - shift) * factor

DEFINE_AVERAGE(float32, float, float, PLAIN)
DEFINE_AVERAGE(int8, int8_t, int32_t, (int8_t)(int)QUANTISED(-128.0f, 127.0f))
DEFINE_AVERAGE(uint8, uint8_t, int32_t, (uint8_t)(int)QUANTISED(0.0f, 255.0f))

LAYER_KERNEL(plugrt_average_pooling_float32)
{
    return plugrt_run_pooling(args, call, sizeof(float), row_float32);
}

LAYER_KERNEL(plugrt_average_pooling_int8)
{
    return plugrt_run_pooling(args, call, sizeof(int8_t), row_int8);
}

LAYER_KERNEL(plugrt_average_pooling_uint8)
{
    return plugrt_run_pooling(args, call, sizeof(uint8_t), row_uint8);
}
