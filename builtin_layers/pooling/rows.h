/* The work on one row of a pooling, for the maximum and the mean of each type.  A template: the
 * including file defines ISA and has chosen the instruction set. */
#include "windows.h"

#include <string.h>

#define JOIN(a, b, c) a##_##b##_##c
#define NAMED(a, b, c) JOIN(a, b, c)

enum { MAXIMUM_TAPS = 128 };

/* The elements of a window, by their distance from `input`; `count` is 0 for larger windows. */
struct taps {
    int count;
    int64_t offsets[MAXIMUM_TAPS];
};

static void find_taps(
    const struct pooling_arguments *a, const struct window_range ranges[3], struct taps *taps)
{
    taps->count = 0;
    if ((int64_t)ranges[0].count * ranges[1].count * ranges[2].count > MAXIMUM_TAPS)
        return;
    for (int d = 0; d < ranges[0].count; d++)
        for (int h = 0; h < ranges[1].count; h++)
            for (int w = 0; w < ranges[2].count; w++)
                taps->offsets[taps->count++]
                    = (ranges[0].first + d * a->dilation[0]) * a->input_stride[2]
                    + (ranges[1].first + h * a->dilation[1]) * a->input_stride[3]
                    + (ranges[2].first + w * a->dilation[2]) * a->input_stride[4];
}

/* How sums of an average become results. */
struct finish {
    float shift, factor, zero;
};

#define VECTOR(type, lanes) NAMED(vector, type, lanes)
#define DEFINE_VECTOR(type, lanes)                                                           \
    typedef type VECTOR(type, lanes) __attribute__((vector_size(lanes * sizeof(type))))

#define DEFINE_VECTORS(type)                                                                 \
    DEFINE_VECTOR(type, 1);                                                                  \
    DEFINE_VECTOR(type, 8);                                                                  \
    DEFINE_VECTOR(type, 16)

DEFINE_VECTORS(float);
DEFINE_VECTORS(int8_t);
DEFINE_VECTORS(uint8_t);
DEFINE_VECTORS(int32_t);
DEFINE_VECTORS(int16_t);
DEFINE_VECTORS(uint16_t);
DEFINE_VECTORS(uint32_t);
DEFINE_VECTOR(int16_t, 32);
DEFINE_VECTOR(int8_t, 64);
DEFINE_VECTOR(uint8_t, 64);

#define SELECTED(mask, yes, no)                                                              \
    (((mask) & (__typeof__(mask))(yes)) | (~(mask) & (__typeof__(mask))(no)))

/* Calls VISIT(element) for a pointer to each element of the window. */
#define FOR_EACH_ELEMENT(VISIT)                                                              \
    if (taps->count > 0) {                                                                   \
        for (int k = 0; k < taps->count; k++)                                                \
            VISIT(input + taps->offsets[k]);                                                 \
    } else {                                                                                 \
        for (int d = 0; d < ranges[0].count; d++)                                            \
            for (int h = 0; h < ranges[1].count; h++)                                        \
                for (int w = 0; w < ranges[2].count; w++)                                    \
                    VISIT(input                                                              \
                        + (ranges[0].first + d * a->dilation[0]) * a->input_stride[2]        \
                        + (ranges[1].first + h * a->dilation[1]) * a->input_stride[3]        \
                        + (ranges[2].first + w * a->dilation[2]) * a->input_stride[4]);      \
    }

/* The maximum over one window for `lanes` channels. */
#define LARGER(element)                                                                      \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        best = (__typeof__(best))SELECTED(value > best, value, best);                        \
    } while (0)
#define DEFINE_MAXIMUM(type, lanes, lowest)                                                  \
    static inline __attribute__((always_inline)) void NAMED(maximum, type, lanes)(           \
        const struct pooling_arguments *a, const struct window_range *ranges,                \
        const struct taps *taps, const struct finish *finish, const type *input,             \
        type *output)                                                                        \
    {                                                                                        \
        (void)finish;                                                                        \
        VECTOR(type, lanes) value, best = {0};                                               \
        best += lowest;                                                                      \
        FOR_EACH_ELEMENT(LARGER)                                                             \
        memcpy(output, &best, sizeof best);                                                  \
    }

/* The same for 16-bit floats, seen as sign and magnitude: flipping the magnitude of negative ones
 * orders them as integers, and doing it twice changes nothing. */
#define ORDERED(value) ((value) ^ (((value) >> 15) & 0x7fff))
#define LARGER_ORDERED(element)                                                              \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        value = ORDERED(value);                                                              \
        best = (__typeof__(best))SELECTED(value > best, value, best);                        \
    } while (0)
#define DEFINE_MAXIMUM_OF_BFLOAT16(lanes)                                                    \
    static inline __attribute__((always_inline)) void NAMED(maximum, int16_t, lanes)(        \
        const struct pooling_arguments *a, const struct window_range *ranges,                \
        const struct taps *taps, const struct finish *finish, const int16_t *input,          \
        int16_t *output)                                                                     \
    {                                                                                        \
        enum { MINUS_INFINITY = -0x7f81 };                                                   \
        (void)finish;                                                                        \
        VECTOR(int16_t, lanes) value, best = {0};                                            \
        best += MINUS_INFINITY;                                                              \
        FOR_EACH_ELEMENT(LARGER_ORDERED)                                                     \
        best = ORDERED(best);                                                                \
        memcpy(output, &best, sizeof best);                                                  \
    }

/* The mean over one window for `lanes` channels. */
#define ADDED(element)                                                                       \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        sum += __builtin_convertvector(value, __typeof__(sum));                              \
    } while (0)
#define ADDED_BFLOAT16(element)                                                              \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        sum += (__typeof__(sum))(__builtin_convertvector(value, __typeof__(bits)) << 16);    \
    } while (0)
#define DEFINE_AVERAGE_OF_BFLOAT16(lanes)                                                    \
    static inline __attribute__((always_inline)) void NAMED(average, uint16_t, lanes)(       \
        const struct pooling_arguments *a, const struct window_range *ranges,                \
        const struct taps *taps, const struct finish *finish, const uint16_t *input,         \
        uint16_t *output)                                                                    \
    {                                                                                        \
        VECTOR(uint16_t, lanes) value;                                                       \
        VECTOR(uint32_t, lanes) bits;                                                        \
        VECTOR(float, lanes) sum = {0};                                                      \
        FOR_EACH_ELEMENT(ADDED_BFLOAT16)                                                     \
        bits = (VECTOR(uint32_t, lanes))(sum * finish->factor);                              \
        /* Half to even; NaN made of bfloat16 has no lower bits that could overflow. */      \
        bits += 0x7fff + (bits >> 16 & 1);                                                   \
        value = __builtin_convertvector(bits >> 16, VECTOR(uint16_t, lanes));                \
        memcpy(output, &value, sizeof value);                                                \
    }
#define DEFINE_AVERAGE(type, lanes, sum_type, FINISH)                                        \
    static inline __attribute__((always_inline)) void NAMED(average, type, lanes)(           \
        const struct pooling_arguments *a, const struct window_range *ranges,                \
        const struct taps *taps, const struct finish *finish, const type *input,             \
        type *output)                                                                        \
    {                                                                                        \
        VECTOR(type, lanes) value, result;                                                   \
        VECTOR(sum_type, lanes) sum = {0};                                                   \
        FOR_EACH_ELEMENT(ADDED)                                                              \
        VECTOR(float, lanes) mean = __builtin_convertvector(sum, VECTOR(float, lanes));      \
        mean = (mean - finish->shift) * finish->factor;                                      \
        FINISH(type, lanes)                                                                  \
        memcpy(output, &result, sizeof result);                                              \
    }
#define PLAIN(type, lanes) result = mean;
/* Adding and taking away 1.5 * 2^23 rounds half to even. */
#define QUANTISED(type, lanes, low, high)                                                    \
    mean = (mean + 12582912.0f) - 12582912.0f + finish->zero;                                \
    VECTOR(float, lanes) limit = {0};                                                        \
    limit += low;                                                                            \
    mean = (VECTOR(float, lanes))SELECTED(mean > limit, mean, limit);                        \
    limit += high - low;                                                                     \
    mean = (VECTOR(float, lanes))SELECTED(mean < limit, mean, limit);                        \
    result = __builtin_convertvector(                                                        \
        __builtin_convertvector(mean, VECTOR(int32_t, lanes)), VECTOR(type, lanes));
#define QUANTISED_INT8(type, lanes) QUANTISED(type, lanes, -128.0f, 127.0f)
#define QUANTISED_UINT8(type, lanes) QUANTISED(type, lanes, 0.0f, 255.0f)

/* One row; `widest` lanes per step while there are as many channels left. */
#define STEPS(kind, type, lanes)                                                             \
    for (; c + lanes <= row->end; c += lanes)                                                \
    NAMED(kind, type, lanes)(a, ranges, taps, &finish, input + c, output + c)
#define DEFINE_ROW(kind, suffix, type, widest)                                               \
    void NAMED(plugrt_##kind##_row, suffix, ISA)(const struct pooling_arguments *a,          \
        const struct pooling_row *row, const void *from, void *to)                           \
    {                                                                                        \
        type *output = to;                                                                   \
        struct taps whole, cut;                                                              \
        struct window_range ranges[3];                                                       \
        ranges[0] = window_range(a, 0, row->depth);                                          \
        ranges[1] = window_range(a, 1, row->height);                                         \
        ranges[2] = (struct window_range){0, a->kernel[2], a->kernel[2]};                    \
        find_taps(a, ranges, &whole);                                                        \
        for (int x = 0; x < a->output_size[2]; x++, output += a->output_stride[4]) {         \
            const int start = x * a->stride[2] - a->before[2];                               \
            const int reach = start + (a->kernel[2] - 1) * a->dilation[2];                   \
            const int inside = start >= 0 && reach < a->input_size[2];                       \
            const type *input = from;                                                        \
            const struct taps *taps = &whole;                                                \
            if (inside) {                                                                    \
                input += start * a->input_stride[4];                                         \
                ranges[2] = (struct window_range){0, a->kernel[2], a->kernel[2]};            \
            } else {                                                                         \
                ranges[2] = window_range(a, 2, x);                                           \
                find_taps(a, ranges, &cut);                                                  \
                taps = &cut;                                                                 \
            }                                                                                \
            const float valid = (float)ranges[0].count * ranges[1].count * ranges[2].count;  \
            const float room = (float)ranges[0].room * ranges[1].room * ranges[2].room;      \
            const struct finish finish = {valid * a->input_zero,                             \
                a->ratio / (a->include_padding ? room : valid), a->output_zero};             \
            int c = row->begin;                                                              \
            STEPS(kind, type, widest);                                                       \
            STEPS(kind, type, 16);                                                           \
            STEPS(kind, type, 8);                                                            \
            STEPS(kind, type, 1);                                                            \
        }                                                                                    \
    }

#define DEFINE_MAXIMA(type, lowest)                                                          \
    DEFINE_MAXIMUM(type, 1, lowest)                                                          \
    DEFINE_MAXIMUM(type, 8, lowest)                                                          \
    DEFINE_MAXIMUM(type, 16, lowest)

#define DEFINE_AVERAGES(type, sum_type, FINISH)                                              \
    DEFINE_AVERAGE(type, 1, sum_type, FINISH)                                                \
    DEFINE_AVERAGE(type, 8, sum_type, FINISH)                                                \
    DEFINE_AVERAGE(type, 16, sum_type, FINISH)

DEFINE_MAXIMA(float, -__builtin_inff())
DEFINE_MAXIMA(int8_t, (int8_t)-128)
DEFINE_MAXIMA(uint8_t, (uint8_t)0)
DEFINE_MAXIMUM(int8_t, 64, (int8_t)-128)
DEFINE_MAXIMUM(uint8_t, 64, (uint8_t)0)
DEFINE_MAXIMUM_OF_BFLOAT16(1)
DEFINE_MAXIMUM_OF_BFLOAT16(8)
DEFINE_MAXIMUM_OF_BFLOAT16(16)
DEFINE_MAXIMUM_OF_BFLOAT16(32)
DEFINE_AVERAGE_OF_BFLOAT16(1)
DEFINE_AVERAGE_OF_BFLOAT16(8)
DEFINE_AVERAGE_OF_BFLOAT16(16)
DEFINE_AVERAGES(float, float, PLAIN)
DEFINE_AVERAGES(int8_t, int32_t, QUANTISED_INT8)
DEFINE_AVERAGES(uint8_t, int32_t, QUANTISED_UINT8)

DEFINE_ROW(maximum, float32, float, 16)
DEFINE_ROW(maximum, bfloat16, int16_t, 32)
DEFINE_ROW(maximum, int8, int8_t, 64)
DEFINE_ROW(maximum, uint8, uint8_t, 64)
DEFINE_ROW(average, float32, float, 16)
DEFINE_ROW(average, bfloat16, uint16_t, 16)
DEFINE_ROW(average, int8, int8_t, 16)
DEFINE_ROW(average, uint8, uint8_t, 16)
