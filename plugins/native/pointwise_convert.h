/* Conversions between the types of memory and of registers. */
#ifndef PLUGRT_POINTWISE_CONVERT_H
#define PLUGRT_POINTWISE_CONVERT_H

#include "pointwise_math.h"

/* Memory types that C has no name for. */
typedef struct { uint16_t bits; } float16;
typedef struct { uint16_t bits; } bfloat16;
typedef struct { uint8_t byte; } boolean;

static inline float float_from_half(float16 half)
{
    uint32_t magnitude = half.bits & 0x7fffu;
    uint32_t sign = (uint32_t)(half.bits & 0x8000u) << 16;
    uint32_t normal = (magnitude << 13) + (112u << 23);
    uint32_t special = (magnitude << 13) + (224u << 23);
    uint32_t denormal = bits_of((float)(int32_t)magnitude * 5.96046448e-8f);
    uint32_t bits = magnitude < 0x0400u ? denormal : magnitude < 0x7c00u ? normal : special;
    return float_of(bits | sign);
}

/* To nearest, half to even. */
static inline float16 half_from_float(float x)
{
    uint32_t bits = bits_of(x);
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t normal = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
    /* The unit in the last place of 0.5 is that of a denormal half. */
    uint32_t denormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    uint32_t half = magnitude < 0x38800000u ? denormal
        : magnitude < 0x47800000u           ? normal
                                            : special;
    float16 result = { (uint16_t)(half | (bits >> 16 & 0x8000u)) };
    return result;
}

static inline float float_from_bfloat(bfloat16 value)
{
    return float_of((uint32_t)value.bits << 16);
}

static inline bfloat16 bfloat_from_float(float x)
{
    uint32_t bits = bits_of(x);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40u;
    bfloat16 result = { (uint16_t)(x == x ? rounded : quiet) };
    return result;
}

/* Floating point to integer: towards zero, saturating, NaN to 0. */

/* Where the floating-point type holds every value of the integer type. */
#define SATURATED(real, integer, low, high)                                                  \
    static inline integer integer##_from_##real(real x)                                      \
    {                                                                                        \
        real limited = x == x ? x : 0;                                                       \
        limited = limited > (low) ? limited : (low);                                         \
        return (integer)(limited < (high) ? limited : (high));                               \
    }

/* Where it does not; `below` is the largest value that both have. */
#define SATURATED_WIDE(real, integer, low, high, below)                                      \
    static inline integer integer##_from_##real(real x)                                      \
    {                                                                                        \
        real limited = x == x ? x : 0;                                                       \
        limited = limited > (low) ? limited : (low);                                         \
        integer converted = (integer)(limited < (below) ? limited : (below));                \
        return limited > (below) ? (high) : converted;                                       \
    }

SATURATED(float, int8_t, -128.0f, 127.0f)
SATURATED(float, uint8_t, 0.0f, 255.0f)
SATURATED(float, int16_t, -32768.0f, 32767.0f)
SATURATED(float, uint16_t, 0.0f, 65535.0f)
SATURATED_WIDE(float, int32_t, -2147483648.0f, INT32_MAX, 2147483520.0f)
SATURATED_WIDE(float, uint32_t, 0.0f, UINT32_MAX, 4294967040.0f)
SATURATED_WIDE(float, int64_t, -9223372036854775808.0f, INT64_MAX, 9223371487098961920.0f)
SATURATED_WIDE(float, uint64_t, 0.0f, UINT64_MAX, 18446742974197923840.0f)
SATURATED(double, int8_t, -128.0, 127.0)
SATURATED(double, uint8_t, 0.0, 255.0)
SATURATED(double, int16_t, -32768.0, 32767.0)
SATURATED(double, uint16_t, 0.0, 65535.0)
SATURATED(double, int32_t, -2147483648.0, 2147483647.0)
SATURATED(double, uint32_t, 0.0, 4294967295.0)
SATURATED_WIDE(double, int64_t, -9223372036854775808.0, INT64_MAX, 9223372036854774784.0)
SATURATED_WIDE(double, uint64_t, 0.0, UINT64_MAX, 18446744073709549568.0)

#endif
