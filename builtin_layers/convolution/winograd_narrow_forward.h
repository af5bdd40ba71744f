/* The transform of one tile's inputs in bfloat16, F(2 x 2, 3 x 3), as winograd.h tells.  A template:
 * the including file defines SUFFIX and WORDS (of two channels, 16 or 8) and has chosen AVX-512
 * with BF16. */
#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)
#define PAIR NAMED(winograd_pair, SUFFIX)
#define LOAD NAMED(winograd_pair_load, SUFFIX)
#define ADD NAMED(winograd_pair_add, SUFFIX)
#define SUBTRACT NAMED(winograd_pair_subtract, SUFFIX)
#define ALONG NAMED(winograd_pair_along, SUFFIX)
#define FORWARD NAMED(winograd_narrow_forward, SUFFIX)

#define SIZE 4
#define INLINED static inline __attribute__((always_inline))

typedef float NAMED(winograd_floats, SUFFIX) __attribute__((vector_size(WORDS * 4)));
typedef uint32_t NAMED(winograd_words, SUFFIX) __attribute__((vector_size(WORDS * 4)));

/* The even and the odd ones of 2 * WORDS channels. */
typedef struct {
    NAMED(winograd_floats, SUFFIX) even, odd;
} PAIR;

/* `half` is the distance of the second 16 of 32 channels from the first. */
INLINED PAIR LOAD(const uint16_t *from, int64_t half)
{
#if WORDS == 16
    const __m512i both = half == WINOGRAD_BLOCK
        ? _mm512_loadu_si512(from)
        : _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)from)),
              _mm256_loadu_si256((const __m256i *)(from + half)), 1);
#else
    (void)half;
    const __m256i both = _mm256_loadu_si256((const __m256i *)from);
#endif
    const NAMED(winograd_words, SUFFIX) words = (NAMED(winograd_words, SUFFIX))both;
    return (PAIR){(NAMED(winograd_floats, SUFFIX))(words << 16),
        (NAMED(winograd_floats, SUFFIX))(words & 0xffff0000u)};
}

INLINED PAIR ADD(PAIR x, PAIR y)
{
    return (PAIR){x.even + y.even, x.odd + y.odd};
}

INLINED PAIR SUBTRACT(PAIR x, PAIR y)
{
    return (PAIR){x.even - y.even, x.odd - y.odd};
}

/* Transforms a row and stores the results at neighbouring positions. */
INLINED void ALONG(const PAIR *d, float *to)
{
    const PAIR result[SIZE]
        = {SUBTRACT(d[0], d[2]), ADD(d[1], d[2]), SUBTRACT(d[2], d[1]), SUBTRACT(d[1], d[3])};
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++) {
#if WORDS == 16
        const __m512bh rounded
            = _mm512_cvtne2ps_pbh((__m512)result[j].odd, (__m512)result[j].even);
#else
        const __m256bh rounded
            = _mm256_cvtne2ps_pbh((__m256)result[j].odd, (__m256)result[j].even);
#endif
        memcpy(to + j * WINOGRAD_POSITION, &rounded, sizeof rounded);
    }
}

/* Row by row of the result, so that what lies between the two passes stays in registers. */
INLINED void FORWARD(
    const uint16_t *from, int64_t row, int64_t pixel, int64_t half, float *to)
{
#define AT(i, j) LOAD(from + (i) * row + (j) * pixel, half)
    PAIR one[SIZE], other[SIZE];
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++)
        one[j] = SUBTRACT(AT(0, j), AT(2, j));
    ALONG(one, to);
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++) {
        const PAIR second = AT(1, j), third = AT(2, j);
        one[j] = ADD(second, third);
        other[j] = SUBTRACT(third, second);
    }
    ALONG(one, to + 1 * SIZE * WINOGRAD_POSITION);
    ALONG(other, to + 2 * SIZE * WINOGRAD_POSITION);
#pragma GCC unroll 4
    for (int j = 0; j < SIZE; j++)
        one[j] = SUBTRACT(AT(1, j), AT(3, j));
    ALONG(one, to + 3 * SIZE * WINOGRAD_POSITION);
#undef AT
}

#undef JOIN
#undef NAMED
#undef PAIR
#undef LOAD
#undef ADD
#undef SUBTRACT
#undef ALONG
#undef FORWARD
#undef SIZE
#undef INLINED
