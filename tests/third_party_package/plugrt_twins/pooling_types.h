/* Rows of pooling over every element type; included with VARIANT for each instruction set. */

/* Rounds half to even (adding and taking away 1.5 * 2^23) and saturates. */
#define SATURATED(low, high)                                                                 \
    typedef VECTOR_OF(int32_t, LANES) integers;                                              \
    mean = (mean + 12582912.0f) - 12582912.0f + how->zero;                                   \
    floats limit = {0};                                                                      \
    limit += low;                                                                            \
    mean = (floats)(CHOSEN(mean > limit, mean, limit));                                      \
    limit += high - low;                                                                     \
    mean = (floats)(CHOSEN(mean < limit, mean, limit));                                      \
    value = __builtin_convertvector(__builtin_convertvector(mean, integers), elements);

#define SUFFIX_OF(type, variant) type##_##variant
#define SUFFIX_IN(type, variant) SUFFIX_OF(type, variant)

#define SUFFIX SUFFIX_IN(float32, VARIANT)
#define ELEMENT float
#define SUM float
#define LOWEST (-__builtin_inff())
#define WIDEST 16
#define FINISH value = mean;
#include "pooling_rows.h"

#define SUFFIX SUFFIX_IN(int8, VARIANT)
#define ELEMENT int8_t
#define SUM int32_t
#define LOWEST ((int8_t)-128)
#define WIDEST 64
#define FINISH SATURATED(-128.0f, 127.0f)
#include "pooling_rows.h"

#define SUFFIX SUFFIX_IN(uint8, VARIANT)
#define ELEMENT uint8_t
#define SUM int32_t
#define LOWEST ((uint8_t)0)
#define WIDEST 64
#define FINISH SATURATED(0.0f, 255.0f)
#include "pooling_rows.h"

#undef SATURATED
#undef SUFFIX_OF
#undef SUFFIX_IN
#undef VARIANT
