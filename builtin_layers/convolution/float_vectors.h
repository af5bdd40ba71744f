/* Vectors of float32 values, and how they come from and go to memory as float32 or bfloat16.  A
 * template: the including file defines SUFFIX and LANES, and has chosen the instruction set.  All
 * arguments called `narrow` tell whether memory holds bfloat16; they and `lanes` are constants
 * where the functions are inlined, except for vectors that memory has only a part of. */
#include "activation.h"

#include <stdint.h>
#include <string.h>

#ifndef INLINED
#define INLINED static inline __attribute__((always_inline))
#define JOINED(a, b) a##_##b
#define NAMED(a, b) JOINED(a, b)
#define VECTOR NAMED(float_vector, SUFFIX)
#define WORDS NAMED(word_vector, SUFFIX)
#define HALVES NAMED(half_vector, SUFFIX)
#define LOAD NAMED(load_vector, SUFFIX)
#define STORE NAMED(store_vector, SUFFIX)
#define ACTIVATE_ALL NAMED(activate_vectors, SUFFIX)
#define ACTIVATE_ONE NAMED(activate_vector, SUFFIX)
#endif

typedef float VECTOR __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t WORDS __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint16_t HALVES __attribute__((vector_size(LANES * sizeof(uint16_t))));

DEFINE_ACTIVATE(ACTIVATE_ONE, VECTOR, WORDS)

/* The first `lanes` elements at `from`, zeros behind them. */
INLINED VECTOR LOAD(const void *from, int narrow, int lanes)
{
#if defined(__AVX512F__) && LANES == 16
    const int whole = __builtin_constant_p(lanes) && lanes == LANES;
    const __mmask16 mask = (__mmask16)((1u << lanes) - 1);
    if (narrow) {
        const __m256i halves = whole ? _mm256_loadu_epi16(from)
                                              : _mm256_maskz_loadu_epi16(mask, from);
        return (VECTOR)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
    }
    return (VECTOR)(whole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(mask, from));
#else
    if (narrow) {
        HALVES halves = {0};
        memcpy(&halves, from, (size_t)lanes * sizeof(uint16_t));
        return (VECTOR)(__builtin_convertvector(halves, WORDS) << 16);
    }
    VECTOR value = {0};
    memcpy(&value, from, (size_t)lanes * sizeof(float));
    return value;
#endif
}

/* Keep a value in a register that several instructions use, else each would load it again; and
 * an address that moves step by step, else all of its steps would be computed beforehand. */
#define KEEP_ADDRESS(pointer) __asm__("" : "+r"(pointer))
#ifdef __AVX512F__
#define KEEP_IN_REGISTER(value) __asm__("" : "+v"(value))
#else
#define KEEP_IN_REGISTER(value) (void)(value)
#endif

/* Stores the first `lanes` elements; bfloat16 is rounded half to even. */
INLINED void STORE(void *to, VECTOR value, int narrow, int lanes)
{
#if defined(__AVX512F__) && LANES == 16
    const int whole = __builtin_constant_p(lanes) && lanes == LANES;
    const __mmask16 mask = (__mmask16)((1u << lanes) - 1);
    if (!narrow) {
        if (whole)
            _mm512_storeu_ps(to, (__m512)value);
        else
            _mm512_mask_storeu_ps(to, mask, (__m512)value);
        return;
    }
#endif
#if defined(__AVX512BF16__) && LANES == 16
    const __m256i halves = (__m256i)_mm512_cvtneps_pbh((__m512)value);
#elif defined(__AVX512BF16__) && LANES == 8
    const HALVES halves = (HALVES)_mm256_cvtneps_pbh((__m256)value);
#else
    const WORDS bits = (WORDS)value, quiet = bits >> 16 | 0x40;
    const WORDS rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const WORDS number = (WORDS)(value == value);
    const WORDS chosen = (rounded & number) | (quiet & ~number);
    const HALVES halves = __builtin_convertvector(chosen, HALVES);
#endif
#if defined(__AVX512F__) && LANES == 16
    if (whole)
        _mm256_storeu_epi16(to, (__m256i)halves);
    else
        _mm256_mask_storeu_epi16(to, mask, (__m256i)halves);
#else
    if (narrow)
        memcpy(to, &halves, (size_t)lanes * sizeof(uint16_t));
    else
        memcpy(to, &value, (size_t)lanes * sizeof(float));
#endif
}

/* Activates `count` vectors. */
INLINED void ACTIVATE_ALL(const struct activation *activation, VECTOR *values, int count)
{
#if defined(__AVX512F__) && LANES == 16
    if (activation->kind == ACTIVATION_LEAKY) {
        const __m512 slope = _mm512_set1_ps(activation->slope);
#pragma GCC unroll 32
        for (int p = 0; p < count; p++) {
            const __m512 x = (__m512)values[p];
            const __mmask16 low = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LE_OQ);
            values[p] = (VECTOR)_mm512_mask_mul_ps(x, low, x, slope);
        }
    } else if (activation->kind == ACTIVATION_CLIP) {
        /* The second operand is the result where one is NaN. */
        const __m512 low = _mm512_set1_ps(activation->low);
        const __m512 high = _mm512_set1_ps(activation->high);
#pragma GCC unroll 32
        for (int p = 0; p < count; p++)
            values[p] = (VECTOR)_mm512_min_ps(high, _mm512_max_ps(low, (__m512)values[p]));
    }
#else
#pragma GCC unroll 32
    for (int p = 0; p < count; p++)
        ACTIVATE_ONE(activation, &values[p]);
#endif
}
