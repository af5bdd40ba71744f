/* The kinds of pooling, each as a few functions on vectors of values that are being pooled, for
 * points.h, lines.h and planes.h.  A template: the including file defines ISA and WIDTH and has
 * chosen the instruction set.
 *
 * A kind has `nothing`, the value of no elements; `add`, which takes elements from memory into a
 * value, those behind `count` unchanged; `join` of two values; `put`, which stores one; and `evens`, values 0, 2, 4... of two
 * vectors.  Maxima: elements that are NaN are left out. */
#include "vectors.h"
#include "windows.h"

/* How sums become means. */
struct finish {
    float_vector shift, factor;
    float zero;
};

#define JOINED(a, b) a##_##b
#define NAMED(a, b) JOINED(a, b)
#define FUNCTION(name) NAMED(name, KIND)

/* ---- maxima ---- */

#define DEFINE_MAXIMUM(kind, type, bits, lowest)                                             \
    INLINED type##_vector nothing_##kind(void)                                               \
    {                                                                                        \
        return (type##_vector){0} + (type)(lowest);                                          \
    }                                                                                        \
    INLINED type##_vector join_##kind(type##_vector a, type##_vector b)                      \
    {                                                                                        \
        return larger_##type(a, b);                                                          \
    }                                                                                        \
    INLINED type##_vector evens_##kind(type##_vector a, type##_vector b)                     \
    {                                                                                        \
        return (type##_vector)evens_##bits((whole_bytes)a, (whole_bytes)b);                  \
    }

#define DEFINE_PLAIN_MAXIMUM(kind, type, bits, lowest)                                       \
    DEFINE_MAXIMUM(kind, type, bits, lowest)                                                 \
    INLINED type##_vector add_##kind(type##_vector value, const type *from, int count)       \
    {                                                                                        \
        const whole_bytes nothing = (whole_bytes)nothing_##kind();                           \
        return larger_##type(                                                                \
            (type##_vector)load_whole(from, count * (int)sizeof(type), nothing), value);     \
    }                                                                                        \
    INLINED void put_##kind(                                                                 \
        type *to, type##_vector value, const struct finish *finish, int count)               \
    {                                                                                        \
        (void)finish;                                                                        \
        store_whole(to, (whole_bytes)value, count * (int)sizeof(type));                      \
    }

DEFINE_PLAIN_MAXIMUM(maximum_float32, float, 32, -__builtin_inff())
DEFINE_PLAIN_MAXIMUM(maximum_int8, int8_t, 8, -128)
DEFINE_PLAIN_MAXIMUM(maximum_uint8, uint8_t, 8, 0)

/* bfloat16, seen as sign and magnitude: flipping the magnitude of negative ones orders them as
 * integers, and doing it twice changes nothing.  ABOVE_INFINITY more, positive NaN wrap round to
 * the lowest integers, where negative ones are. */
enum {
    ABOVE_INFINITY = 0x7f,
    BITS_OF_MINUS_INFINITY = -0x80,
    MINUS_INFINITY = -0x7f81 + ABOVE_INFINITY,
};

#define FLIPPED(value) ((value) ^ (((value) >> 15) & 0x7fff))

DEFINE_MAXIMUM(maximum_bfloat16, int16_t, 16, MINUS_INFINITY)

INLINED int16_t_vector add_maximum_bfloat16(int16_t_vector value, const int16_t *from, int count)
{
    const int16_t_vector nothing = (int16_t_vector){0} + (int16_t)BITS_OF_MINUS_INFINITY;
    const int16_t_vector bits = (int16_t_vector)load_whole(
        from, count * (int)sizeof(int16_t), (whole_bytes)nothing);
    return larger_int16_t(FLIPPED(bits) + (int16_t)ABOVE_INFINITY, value);
}

INLINED void put_maximum_bfloat16(
    int16_t *to, int16_t_vector value, const struct finish *finish, int count)
{
    (void)finish;
    const int16_t_vector ordered = value - (int16_t)ABOVE_INFINITY;
    store_whole(to, (whole_bytes)FLIPPED(ordered), count * (int)sizeof(int16_t));
}

/* ---- means ---- */

#define DEFINE_SUM(kind, type)                                                               \
    INLINED type##_vector nothing_##kind(void)                                               \
    {                                                                                        \
        return (type##_vector){0};                                                           \
    }                                                                                        \
    INLINED type##_vector join_##kind(type##_vector a, type##_vector b)                      \
    {                                                                                        \
        return a + b;                                                                        \
    }                                                                                        \
    INLINED type##_vector evens_##kind(type##_vector a, type##_vector b)                     \
    {                                                                                        \
        return (type##_vector)evens_32((whole_bytes)a, (whole_bytes)b);                      \
    }

DEFINE_SUM(average_float32, float)
DEFINE_SUM(average_bfloat16, float)
DEFINE_SUM(average_int8, int32_t)
DEFINE_SUM(average_uint8, int32_t)

INLINED float_vector add_average_float32(float_vector value, const float *from, int count)
{
    return value + (float_vector)load_whole(from, count * (int)sizeof(float), (whole_bytes){0});
}

INLINED void put_average_float32(
    float *to, float_vector value, const struct finish *finish, int count)
{
    const float_vector mean = value * finish->factor;
    store_whole(to, (whole_bytes)mean, count * (int)sizeof(float));
}

INLINED float_vector add_average_bfloat16(float_vector value, const int16_t *from, int count)
{
    const half_bytes words = load_half(from, count * (int)sizeof(int16_t), (half_bytes){0});
    return value + (float_vector)(widened_uint16_t(words) << 16);
}

INLINED void put_average_bfloat16(
    int16_t *to, float_vector value, const struct finish *finish, int count)
{
    const float_vector mean = value * finish->factor;
    uint32_t_vector bits = (uint32_t_vector)mean;
    /* Half to even; NaN made of bfloat16 has no lower bits that could overflow. */
    bits += 0x7fff + (bits >> 16 & 1);
    store_half(to, narrowed_to_16((int32_t_vector)(bits >> 16)), count * (int)sizeof(int16_t));
}

#define SELECTED(mask, yes, no)                                                              \
    (float_vector)(((mask) & (int32_t_vector)(yes)) | (~(mask) & (int32_t_vector)(no)))

/* From the means of stored integers to integers between `low` and `high`. */
INLINED int32_t_vector quantised(
    int32_t_vector sum, const struct finish *finish, float low, float high)
{
    float_vector mean = __builtin_convertvector(sum, float_vector);
    mean = (mean - finish->shift) * finish->factor;
    /* Adding and taking away 1.5 * 2^23 rounds half to even. */
    mean = (mean + 12582912.0f) - 12582912.0f + finish->zero;
    const float_vector lowest = (float_vector){0} + low, highest = (float_vector){0} + high;
    mean = SELECTED(mean > lowest, mean, lowest);
    mean = SELECTED(mean < highest, mean, highest);
    return __builtin_convertvector(mean, int32_t_vector);
}

#define DEFINE_QUANTISED_MEAN(kind, type, low, high)                                         \
    INLINED int32_t_vector add_##kind(int32_t_vector value, const type *from, int count)     \
    {                                                                                        \
        return value + widened_##type(load_quarter(from, count, (quarter_bytes){0}));                            \
    }                                                                                        \
    INLINED void put_##kind(                                                                 \
        type *to, int32_t_vector value, const struct finish *finish, int count)              \
    {                                                                                        \
        store_quarter(to, narrowed_to_8(quantised(value, finish, low, high)), count);        \
    }

DEFINE_QUANTISED_MEAN(average_int8, int8_t, -128.0f, 127.0f)
DEFINE_QUANTISED_MEAN(average_uint8, uint8_t, 0.0f, 255.0f)

/* ---- the functions of each kind ---- */

#define IS_AVERAGE 0
#define KIND maximum_float32
#define ELEMENT float
#define VALUE float_vector
#include "kind.h"

#define KIND maximum_bfloat16
#define ELEMENT int16_t
#define VALUE int16_t_vector
#include "kind.h"

#define KIND maximum_int8
#define ELEMENT int8_t
#define VALUE int8_t_vector
#include "kind.h"

#define KIND maximum_uint8
#define ELEMENT uint8_t
#define VALUE uint8_t_vector
#include "kind.h"
#undef IS_AVERAGE

#define IS_AVERAGE 1
#define KIND average_float32
#define ELEMENT float
#define VALUE float_vector
#include "kind.h"

#define KIND average_bfloat16
#define ELEMENT int16_t
#define VALUE float_vector
#include "kind.h"

#define KIND average_int8
#define ELEMENT int8_t
#define VALUE int32_t_vector
#include "kind.h"

#define KIND average_uint8
#define ELEMENT uint8_t
#define VALUE int32_t_vector
#include "kind.h"
