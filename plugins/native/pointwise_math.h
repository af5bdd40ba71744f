/* Elementary functions of float, written so that compilers vectorise them.
 *
 * Relative error about 2e-7, infinities and NaN as in C's library; results that
 * would be denormal may be zero.  Polynomials are minimax fits of our own on the
 * reduced ranges given beside them.
 */
#ifndef PLUGRT_POINTWISE_MATH_H
#define PLUGRT_POINTWISE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2 to the power of n, -127 < n < 128. */
static inline float power_of_two(int32_t n)
{
    return float_of((uint32_t)(n + 127) << 23);
}

static inline float copy_sign(float magnitude, float sign)
{
    return float_of((bits_of(magnitude) & 0x7fffffffu) | (bits_of(sign) & 0x80000000u));
}

/* Adding it leaves the nearest integer in the low bits of the sum. */
#define ROUNDING_MAGIC 12582912.0f

static inline float exp_float(float x)
{
    /* Beyond these the result is 0 or infinite anyway; NaN passes both tests. */
    float limited = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
    float shifted = limited * 1.44269504f + ROUNDING_MAGIC;
    int32_t n = (int32_t)(bits_of(shifted) - bits_of(ROUNDING_MAGIC));
    float whole = shifted - ROUNDING_MAGIC;
    float r = limited - whole * 0.693145752f;
    r = r - whole * 1.42860677e-6f;
    /* exp(r) = 1 + r + r^2 P(r) for |r| < ln(2) / 2 */
    float p = 0.0013951719738f;
    p = p * r + 0.0083695985377f;
    p = p * r + 0.0416661873459f;
    p = p * r + 0.1666651219130f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    /* In two steps, so that neither factor overflows before the product does. */
    int32_t half = n >> 1;
    return p * power_of_two(half) * power_of_two(n - half);
}

static inline float log_float(float x)
{
    int denormal = x < 1.17549435e-38f;
    float scaled = denormal ? x * 8388608.0f : x;
    /* x = m 2^e with m in [sqrt(1/2), sqrt(2)) */
    int32_t e = (int32_t)(bits_of(scaled) - 0x3f3504f3u) >> 23;
    float m = float_of(bits_of(scaled) - ((uint32_t)e << 23));
    float exponent = (float)(denormal ? e - 23 : e);
    /* log(m) = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172 */
    float f = m - 1.0f;
    float s = f / (2.0f + f);
    float z = s * s;
    float p = 0.111111111f;
    p = p * z + 0.142857143f;
    p = p * z + 0.2f;
    p = p * z + 0.333333333f;
    float logarithm = 2.0f * s + 2.0f * s * z * p;
    float result = exponent * 0.693145752f + (logarithm + exponent * 1.42860677e-6f);
    result = x < INFINITY ? result : x; /* infinity and NaN stay */
    result = x == 0.0f ? -INFINITY : result;
    return x < 0.0f ? NAN : result;
}

static inline float logistic_float(float x)
{
    return 1.0f / (1.0f + exp_float(-x));
}

static inline float tanh_float(float x)
{
    /* |x| < 0.625: x + x^3 P(x^2) */
    float z = x * x;
    float p = -0.0057170446962f;
    p = p * z + 0.0206505865831f;
    p = p * z - 0.0537434965372f;
    p = p * z + 0.1333149075508f;
    p = p * z - 0.3333328366280f;
    float small = x + x * z * p;
    float magnitude = fabsf(x);
    float large = 1.0f - 2.0f / (exp_float(2.0f * magnitude) + 1.0f);
    return magnitude < 0.625f ? small : copy_sign(large, x);
}

static inline float erf_float(float x)
{
    /* |x| < 1: x P(x^2) */
    float z = x * x;
    float p = 7.85385782e-05f;
    p = p * z - 0.000801019254f;
    p = p * z + 0.00518832775f;
    p = p * z - 0.0268538110f;
    p = p * z + 0.1128358543f;
    p = p * z - 0.3761262596f;
    p = p * z + 1.1283791065f;
    float small = x * p;
    /* 1 <= |x| < 4: 1 - exp(-Q(|x|)); beyond 4 the result rounds to 1 */
    float magnitude = fabsf(x);
    float m = magnitude > 4.0f ? 4.0f : magnitude;
    float q = -0.000185574070f;
    q = q * m + 0.00293960795f;
    q = q * m - 0.0218053199f;
    q = q * m + 0.1030373723f;
    q = q * m + 0.6382256747f;
    q = q * m + 1.1270400286f;
    q = q * m + 0.000353718758f;
    float large = 1.0f - exp_float(-q);
    return magnitude < 1.0f ? small : copy_sign(large, x);
}

/* Beyond this, reduction to one period would lose digits. */
#define TRIGONOMETRIC_LIMIT 8192.0f

/* sin(x + quarters * pi / 2) for |x| <= TRIGONOMETRIC_LIMIT */
static inline float sine_float(float x, int32_t quarters)
{
    float shifted = x * 0.636619772f + ROUNDING_MAGIC;
    int32_t quadrant = (int32_t)(bits_of(shifted) - bits_of(ROUNDING_MAGIC)) + quarters;
    float whole = shifted - ROUNDING_MAGIC;
    /* pi / 2 in three parts, the first two exact when multiplied by `whole` */
    float r = x - whole * 1.5703125f;
    r = r - whole * 4.83751297e-4f;
    r = r - whole * 7.54978995e-8f;
    float z = r * r;
    /* |r| < pi / 4: r + r^3 P(r^2), and 1 - r^2 / 2 + r^4 Q(r^2) */
    float p = 2.71756448e-6f;
    p = p * z - 0.000198392561f;
    p = p * z + 0.00833332911f;
    p = p * z - 0.166666672f;
    float sine = r + r * z * p;
    float q = 2.44312050e-5f;
    q = q * z - 0.00138873060f;
    q = q * z + 0.0416666456f;
    float cosine = 1.0f - 0.5f * z + z * z * q;
    float value = quadrant & 1 ? cosine : sine;
    return float_of(bits_of(value) ^ ((uint32_t)(quadrant & 2) << 30));
}

#endif
