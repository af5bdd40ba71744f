/* The loops of quantize.h.  A template: the including file defines ISA and has chosen the
 * instruction set.
 *
 * Multiplying by 1 / scale is several times as fast as dividing and gives the same integer, unless
 * the quotient is about in the middle between two: such blocks are divided. */
#include "quantize.h"

#include <string.h>

enum { BLOCK = 128 };

/* More than the error of multiplication where the quotient does not saturate. */
static const float DOUBT = 0.00006f;

/* 1.5 * 2^23: adding it rounds half to even, and leaves the integer in the lowest bits. */
static const float ROUNDER = 12582912.0f;

#define AT_LEAST(value, low) ((value) > (low) ? (value) : (low))
#define AT_MOST(value, high) ((value) < (high) ? (value) : (high))

#define JOIN(name, type, isa) name##_##type##_##isa
#define NAMED(name, type, isa) JOIN(name, type, isa)

/* Returns whether a quotient is in doubt. */
#define DEFINE_QUANTIZED(type, low, high)                                                    \
    static inline __attribute__((always_inline)) int block_of_##type(                        \
        const float *restrict from, type *restrict to, int count, float factor, int divides, \
        int zero)                                                                            \
    {                                                                                        \
        const float least = (float)(low - zero), most = (float)(high - zero);                \
        int doubts = 0;                                                                      \
        for (int i = 0; i < count; i++) {                                                    \
            const float quotient = divides ? from[i] / factor : from[i] * factor;            \
            const int number = -(quotient == quotient);                                      \
            const float larger = AT_LEAST(quotient, least);                                  \
            const float near = AT_MOST(larger, most);                                        \
            const float rounded = near + ROUNDER;                                            \
            int32_t bits;                                                                    \
            memcpy(&bits, &rounded, sizeof bits);                                            \
            to[i] = (type)((bits + zero) & number);                                          \
            doubts |= __builtin_fabsf(near - (rounded - ROUNDER)) > 0.5f - DOUBT;            \
        }                                                                                    \
        return doubts;                                                                       \
    }                                                                                        \
                                                                                             \
    void NAMED(plugrt_quantized, type, ISA)(                                                 \
        const float *from, void *to, int64_t count, float scale, int zero)                   \
    {                                                                                        \
        type *output = to;                                                                   \
        const float factor = 1.0f / scale;                                                   \
        int64_t i = 0;                                                                       \
        for (; i + BLOCK <= count; i += BLOCK)                                               \
            if (block_of_##type(from + i, output + i, BLOCK, factor, 0, zero))               \
                block_of_##type(from + i, output + i, BLOCK, scale, 1, zero);                \
        block_of_##type(from + i, output + i, (int)(count - i), scale, 1, zero);             \
    }

DEFINE_QUANTIZED(int8_t, -128, 127)
DEFINE_QUANTIZED(uint8_t, 0, 255)
