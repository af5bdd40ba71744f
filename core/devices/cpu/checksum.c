/* CRC-32 by folding: 64 bytes are carried over the next 64 by multiplication with x^n mod P
   (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel, 2009),
   some five times as fast as tables. The last 16 bytes go through a table, which also divides. */
#define _GNU_SOURCE
#include "checksum.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

enum { PAGE = 4096, RELEASE = 4 << 20 };

#if defined(__x86_64__)
#include <immintrin.h>

#define FOLD __attribute__((target("pclmul,sse4.1")))
enum { LANE = 16, STEP = 4 * LANE };

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++)
            rest = rest & 1 ? rest >> 1 ^ 0xEDB88320u : rest >> 1;
        table[byte] = rest;
    }
}

static uint32_t by_table(uint32_t crc, const unsigned char *data, uint64_t length)
{
    while (length--)
        crc = table[(crc ^ *data++) & 255] ^ crc >> 8;
    return crc;
}

FOLD static inline __m128i load(const unsigned char *data)
{
    return _mm_loadu_si128((const __m128i *)data);
}

/* `lane` carried over the distance of `factor` onto `next`. */
FOLD static inline __m128i fold(__m128i lane, __m128i factor, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(lane, factor, 0x00);
    __m128i high = _mm_clmulepi64_si128(lane, factor, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

FOLD static uint32_t checksum(const unsigned char *data, uint64_t length)
{
    if (length < STEP)
        return ~by_table(~0u, data, length);
    const __m128i far = _mm_set_epi64x(0x1C6E41596, 0x154442BD4);  /* 64 bytes on */
    const __m128i near = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0); /* 16 bytes on */
    __m128i a = _mm_xor_si128(load(data), _mm_cvtsi32_si128(-1));
    __m128i b = load(data + LANE), c = load(data + 2 * LANE), d = load(data + 3 * LANE);
    for (data += STEP, length -= STEP; length >= STEP; data += STEP, length -= STEP) {
        a = fold(a, far, load(data));
        b = fold(b, far, load(data + LANE));
        c = fold(c, far, load(data + 2 * LANE));
        d = fold(d, far, load(data + 3 * LANE));
    }
    a = fold(fold(fold(a, near, b), near, c), near, d);
    for (; length >= LANE; data += LANE, length -= LANE)
        a = fold(a, near, load(data));
    unsigned char rest[LANE];
    _mm_storeu_si128((__m128i *)rest, a);
    return ~by_table(by_table(0, rest, LANE), data, length);
}

int plugrt_has_checksums(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
int plugrt_has_checksums(void) { return 0; }
#endif

void plugrt_checksums(const char *base, const uint64_t *starts, const uint64_t *lengths,
                      uint64_t count, int release, uint32_t *sums)
{
#if defined(__x86_64__)
    uintptr_t released = 0;
    pthread_once(&table_once, fill_table);
    for (uint64_t k = 0; k < count; k++) {
        const char *data = base + starts[k];
        sums[k] = checksum((const unsigned char *)data, lengths[k]);
        if (!release)
            continue;
        uintptr_t end = (uintptr_t)(data + lengths[k]) & -(uintptr_t)PAGE;
        if (!released)
            released = ((uintptr_t)data + PAGE - 1) & -(uintptr_t)PAGE;
        if (end > released && (end - released >= RELEASE || k + 1 == count)) {
            madvise((void *)released, end - released, MADV_DONTNEED);
            released = end;
        }
    }
#else
    (void)base, (void)starts, (void)lengths, (void)count, (void)release, (void)sums;
#endif
}
