/* Vectors of WIDTH bytes: how they come from and go to memory, also in part, their maxima, and
 * every second of their elements.  A template: the including file defines WIDTH, 16, 32 or 64,
 * and has chosen the instruction set. */
#include <stdint.h>
#include <string.h>

#define INLINED static inline __attribute__((always_inline))

#define DEFINE_VECTOR(type)                                                                  \
    typedef type type##_vector __attribute__((vector_size(WIDTH)))
DEFINE_VECTOR(float);
DEFINE_VECTOR(int32_t);
DEFINE_VECTOR(uint32_t);
DEFINE_VECTOR(int16_t);
DEFINE_VECTOR(int8_t);
DEFINE_VECTOR(uint8_t);

typedef uint8_t whole_bytes __attribute__((vector_size(WIDTH)));
typedef uint8_t half_bytes __attribute__((vector_size(WIDTH / 2)));
typedef uint8_t quarter_bytes __attribute__((vector_size(WIDTH / 4)));

/* The first `count` bytes, behind them those of `rest`; only `count` are read and written. */
#if WIDTH == 64
#define BYTE_MASK(count) (~0ull >> (64 - (count)))

INLINED whole_bytes load_whole(const void *from, int count, whole_bytes rest)
{
    return (whole_bytes)_mm512_mask_loadu_epi8(
        (__m512i)rest, (__mmask64)BYTE_MASK(count), from);
}

INLINED half_bytes load_half(const void *from, int count, half_bytes rest)
{
    return (half_bytes)_mm256_mask_loadu_epi8(
        (__m256i)rest, (__mmask32)BYTE_MASK(count), from);
}

INLINED quarter_bytes load_quarter(const void *from, int count, quarter_bytes rest)
{
    return (quarter_bytes)_mm_mask_loadu_epi8(
        (__m128i)rest, (__mmask16)BYTE_MASK(count), from);
}

INLINED void store_whole(void *to, whole_bytes value, int count)
{
    _mm512_mask_storeu_epi8(to, (__mmask64)BYTE_MASK(count), (__m512i)value);
}

INLINED void store_half(void *to, half_bytes value, int count)
{
    _mm256_mask_storeu_epi8(to, (__mmask32)BYTE_MASK(count), (__m256i)value);
}

INLINED void store_quarter(void *to, quarter_bytes value, int count)
{
    _mm_mask_storeu_epi8(to, (__mmask16)BYTE_MASK(count), (__m128i)value);
}
#else
/* Kept out of the loops that it ends. */
static __attribute__((noinline, unused)) void copy_some(void *to, const void *from, int count)
{
    memcpy(to, from, (size_t)count);
}

#define DEFINE_MEMORY(part)                                                                  \
    INLINED part##_bytes load_##part(const void *from, int count, part##_bytes value)        \
    {                                                                                        \
        if (count == (int)sizeof value)                                                      \
            memcpy(&value, from, sizeof value);                                              \
        else                                                                                 \
            copy_some(&value, from, count);                                                  \
        return value;                                                                        \
    }                                                                                        \
    INLINED void store_##part(void *to, part##_bytes value, int count)                       \
    {                                                                                        \
        if (count == (int)sizeof value)                                                      \
            memcpy(to, &value, sizeof value);                                                \
        else                                                                                 \
            copy_some(to, &value, count);                                                    \
    }
#if WIDTH == 32
/* Half a vector is a block of 8-bit channels. */
INLINED whole_bytes load_whole(const void *from, int count, whole_bytes value)
{
    if (count == WIDTH / 2) {
        const __m128i low = _mm_loadu_si128(from);
        return (whole_bytes)_mm256_inserti128_si256((__m256i)value, low, 0);
    }
    if (count == WIDTH)
        memcpy(&value, from, WIDTH);
    else
        copy_some(&value, from, count);
    return value;
}

INLINED void store_whole(void *to, whole_bytes value, int count)
{
    if (count == WIDTH / 2)
        _mm_storeu_si128(to, _mm256_castsi256_si128((__m256i)value));
    else if (count == WIDTH)
        memcpy(to, &value, WIDTH);
    else
        copy_some(to, &value, count);
}
#else
DEFINE_MEMORY(whole)
#endif
DEFINE_MEMORY(half)
DEFINE_MEMORY(quarter)
#endif

/* Between 32 bits and the low part of them. */
#if WIDTH == 64
#define DEFINE_WIDENED(type, part, narrow, name)                                             \
    INLINED int32_t_vector widened_##type(part##_bytes value)                                \
    {                                                                                        \
        return (int32_t_vector)_mm512_cvt##name##_epi32((narrow)value);                      \
    }
DEFINE_WIDENED(int8_t, quarter, __m128i, epi8)
DEFINE_WIDENED(uint8_t, quarter, __m128i, epu8)
DEFINE_WIDENED(uint16_t, half, __m256i, epu16)

INLINED quarter_bytes narrowed_to_8(int32_t_vector value)
{
    return (quarter_bytes)_mm512_cvtepi32_epi8((__m512i)value);
}

INLINED half_bytes narrowed_to_16(int32_t_vector value)
{
    return (half_bytes)_mm512_cvtepi32_epi16((__m512i)value);
}
#else
#define DEFINE_NARROW(type, part)                                                            \
    typedef type part##_##type __attribute__((vector_size(sizeof(part##_bytes))));
DEFINE_NARROW(int8_t, quarter)
DEFINE_NARROW(uint8_t, quarter)
DEFINE_NARROW(uint16_t, half)

#if WIDTH == 32
#define DEFINE_WIDENED(type, name)                                                           \
    INLINED int32_t_vector widened_##type(quarter_bytes value)                               \
    {                                                                                        \
        return (int32_t_vector)_mm256_cvt##name##_epi32(_mm_cvtsi64_si128((int64_t)value));  \
    }
DEFINE_WIDENED(int8_t, epi8)
DEFINE_WIDENED(uint8_t, epu8)
#else
#define DEFINE_WIDENED(type)                                                                 \
    INLINED int32_t_vector widened_##type(quarter_bytes value)                               \
    {                                                                                        \
        return __builtin_convertvector((quarter_##type)value, int32_t_vector);               \
    }
DEFINE_WIDENED(int8_t)
DEFINE_WIDENED(uint8_t)
#endif

INLINED int32_t_vector widened_uint16_t(half_bytes value)
{
    return __builtin_convertvector((half_uint16_t)value, int32_t_vector);
}

INLINED quarter_bytes narrowed_to_8(int32_t_vector value)
{
    return (quarter_bytes)__builtin_convertvector(value, quarter_int8_t);
}

INLINED half_bytes narrowed_to_16(int32_t_vector value)
{
    return (half_bytes)__builtin_convertvector(value, half_uint16_t);
}
#endif

/* The larger of each two elements; of floats the second where one is NaN. */
#if WIDTH == 64
#define DEFINE_LARGER(type, cast, name)                                                      \
    INLINED type##_vector larger_##type(type##_vector a, type##_vector b)                    \
    {                                                                                        \
        return (type##_vector)_mm512_max_##name((cast)a, (cast)b);                           \
    }
DEFINE_LARGER(float, __m512, ps)
DEFINE_LARGER(int16_t, __m512i, epi16)
DEFINE_LARGER(int8_t, __m512i, epi8)
DEFINE_LARGER(uint8_t, __m512i, epu8)
#elif WIDTH == 32
#define DEFINE_LARGER(type, cast, name)                                                      \
    INLINED type##_vector larger_##type(type##_vector a, type##_vector b)                    \
    {                                                                                        \
        return (type##_vector)_mm256_max_##name((cast)a, (cast)b);                           \
    }
DEFINE_LARGER(float, __m256, ps)
DEFINE_LARGER(int16_t, __m256i, epi16)
DEFINE_LARGER(int8_t, __m256i, epi8)
DEFINE_LARGER(uint8_t, __m256i, epu8)
#else
#define DEFINE_LARGER(type)                                                                  \
    INLINED type##_vector larger_##type(type##_vector a, type##_vector b)                    \
    {                                                                                        \
        const __typeof__(a > b) first = a > b;                                               \
        return (type##_vector)((first & (__typeof__(first))a)                                \
            | (~first & (__typeof__(first))b));                                              \
    }
DEFINE_LARGER(float)
DEFINE_LARGER(int16_t)
DEFINE_LARGER(int8_t)
DEFINE_LARGER(uint8_t)
#endif

/* A vector's bytes from `bytes` on, a power of two; what follows them is unspecified. */
INLINED whole_bytes moved_down(whole_bytes value, int bytes)
{
#if WIDTH == 64
    const __m512i v = (__m512i)value;
    switch (bytes) {
    case 32:
        return (whole_bytes)_mm512_shuffle_i64x2(v, v, 0x4e);
    case 16:
        return (whole_bytes)_mm512_shuffle_i64x2(v, v, 0xb1);
    case 8:
        return (whole_bytes)_mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4e);
    case 4:
        return (whole_bytes)_mm512_srli_epi64(v, 32);
    case 2:
        return (whole_bytes)_mm512_srli_epi32(v, 16);
    default:
        return (whole_bytes)_mm512_srli_epi16(v, 8);
    }
#elif WIDTH == 32
    const __m256i v = (__m256i)value;
    switch (bytes) {
    case 16:
        return (whole_bytes)_mm256_permute2x128_si256(v, v, 1);
    case 8:
        return (whole_bytes)_mm256_shuffle_epi32(v, 0x4e);
    case 4:
        return (whole_bytes)_mm256_srli_epi64(v, 32);
    case 2:
        return (whole_bytes)_mm256_srli_epi32(v, 16);
    default:
        return (whole_bytes)_mm256_srli_epi16(v, 8);
    }
#else
    uint8_t all[2 * WIDTH] = {0};
    memcpy(all, &value, WIDTH);
    memcpy(&value, all + bytes, WIDTH);
    return value;
#endif
}

/* Elements 0, 2, 4... of two vectors of elements of so many bytes. */
#if WIDTH == 64
INLINED whole_bytes evens_32(whole_bytes a, whole_bytes b)
{
    const __m512i chosen
        = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return (whole_bytes)_mm512_permutex2var_epi32((__m512i)a, chosen, (__m512i)b);
}

#define EVENS(narrowed)                                                                      \
    (whole_bytes) _mm512_inserti64x4(                                                        \
        _mm512_castsi256_si512(narrowed((__m512i)a)), narrowed((__m512i)b), 1)

INLINED whole_bytes evens_16(whole_bytes a, whole_bytes b)
{
    return EVENS(_mm512_cvtepi32_epi16);
}

INLINED whole_bytes evens_8(whole_bytes a, whole_bytes b)
{
    return EVENS(_mm512_cvtepi16_epi8);
}
#elif WIDTH == 32
/* Halves of 128 bits are packed each for itself. */
#define IN_ORDER(packed) (whole_bytes) _mm256_permute4x64_epi64(packed, 0xd8)

INLINED whole_bytes evens_32(whole_bytes a, whole_bytes b)
{
    return IN_ORDER((__m256i)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88));
}

INLINED whole_bytes evens_16(whole_bytes a, whole_bytes b)
{
    const __m256i low = _mm256_set1_epi32(0xffff);
    return IN_ORDER(_mm256_packus_epi32(
        _mm256_and_si256((__m256i)a, low), _mm256_and_si256((__m256i)b, low)));
}

INLINED whole_bytes evens_8(whole_bytes a, whole_bytes b)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    return IN_ORDER(_mm256_packus_epi16(
        _mm256_and_si256((__m256i)a, low), _mm256_and_si256((__m256i)b, low)));
}
#else
#define DEFINE_EVENS(bits)                                                                   \
    INLINED whole_bytes evens_##bits(whole_bytes a, whole_bytes b)                           \
    {                                                                                        \
        enum { COUNT = WIDTH * 8 / bits };                                                   \
        uint##bits##_t all[2 * COUNT], chosen[COUNT];                                        \
        whole_bytes result;                                                                  \
        memcpy(all, &a, WIDTH);                                                              \
        memcpy(all + COUNT, &b, WIDTH);                                                      \
        for (int i = 0; i < COUNT; i++)                                                      \
            chosen[i] = all[2 * i];                                                          \
        memcpy(&result, chosen, WIDTH);                                                      \
        return result;                                                                       \
    }
DEFINE_EVENS(32)
DEFINE_EVENS(16)
DEFINE_EVENS(8)
#endif
