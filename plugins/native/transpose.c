/* Transposition of planes of small items: register tiles where the processor has
 * them, single items at the edges and elsewhere.
 */
#include "transpose.h"

#include "interleave.h"

#include <string.h>

typedef struct {
    uint64_t low, high;
} pair_of_words;

/* One tile or edge: rows x columns items. */
#define PLAIN_TILE(type, name)                                                               \
    static void name(char *destination, int64_t destination_stride, const char *source,      \
        int64_t source_stride, int64_t rows, int64_t columns)                                \
    {                                                                                        \
        for (int64_t row = 0; row < rows; row++)                                             \
            for (int64_t column = 0; column < columns; column++) {                           \
                type item;                                                                   \
                memcpy(&item, source + column * source_stride + row * sizeof(type),          \
                    sizeof item);                                                            \
                memcpy(destination + row * destination_stride + column * sizeof(type),       \
                    &item, sizeof item);                                                     \
            }                                                                                \
    }

PLAIN_TILE(uint8_t, plain_tile_1)
PLAIN_TILE(uint16_t, plain_tile_2)
PLAIN_TILE(uint32_t, plain_tile_4)
PLAIN_TILE(uint64_t, plain_tile_8)
PLAIN_TILE(pair_of_words, plain_tile_16)

typedef void (*plain_tile)(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride, int64_t rows, int64_t columns);

/* A full square tile. */
typedef void (*square_tile)(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride);

#if defined(__x86_64__)
#include <immintrin.h>

/* Interleaving line i with line i + half, once per halving, transposes a tile. */
#define INTERLEAVE(to, from, half, bits)                                                     \
    for (int i = 0; i < (half); i++) {                                                       \
        (to)[2 * i] = _mm_unpacklo_epi##bits((from)[i], (from)[i + (half)]);                 \
        (to)[2 * i + 1] = _mm_unpackhi_epi##bits((from)[i], (from)[i + (half)]);             \
    }

static void square_tile_1(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride)
{
    __m128i a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(source + i * source_stride));
    INTERLEAVE(b, a, 8, 8)
    INTERLEAVE(a, b, 8, 8)
    INTERLEAVE(b, a, 8, 8)
    INTERLEAVE(a, b, 8, 8)
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)(destination + i * destination_stride), a[i]);
}

static void square_tile_2(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride)
{
    __m128i a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(source + i * source_stride));
    INTERLEAVE(b, a, 4, 16)
    INTERLEAVE(a, b, 4, 16)
    INTERLEAVE(b, a, 4, 16)
    for (int i = 0; i < 8; i++)
        _mm_storeu_si128((__m128i *)(destination + i * destination_stride), b[i]);
}

static void square_tile_4(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride)
{
    __m128i a[4], b[4];
    for (int i = 0; i < 4; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(source + i * source_stride));
    INTERLEAVE(b, a, 2, 32)
    INTERLEAVE(a, b, 2, 32)
    for (int i = 0; i < 4; i++)
        _mm_storeu_si128((__m128i *)(destination + i * destination_stride), a[i]);
}

__attribute__((target("avx2"))) static void square_tile_4_avx2(char *destination,
    int64_t destination_stride, const char *source, int64_t source_stride)
{
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        /* Lines i and i + 4 side by side leave two 4 x 4 tiles per half to transpose. */
        for (int half = 0; half < 2; half++) {
            __m128i low = _mm_loadu_si128(
                (const __m128i *)(source + i * source_stride + half * 16));
            __m128i high = _mm_loadu_si128(
                (const __m128i *)(source + (i + 4) * source_stride + half * 16));
            a[half * 4 + i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        }
    }
    for (int half = 0; half < 8; half += 4) {
        for (int i = 0; i < 2; i++) {
            b[half + 2 * i] = _mm256_unpacklo_epi32(a[half + i], a[half + i + 2]);
            b[half + 2 * i + 1] = _mm256_unpackhi_epi32(a[half + i], a[half + i + 2]);
        }
        for (int i = 0; i < 2; i++) {
            a[half + 2 * i] = _mm256_unpacklo_epi32(b[half + i], b[half + i + 2]);
            a[half + 2 * i + 1] = _mm256_unpackhi_epi32(b[half + i], b[half + i + 2]);
        }
    }
    for (int i = 0; i < 8; i++)
        _mm256_storeu_si256((__m256i *)(destination + i * destination_stride), a[i]);
}
#endif

/* Tiles of `side` items; whole cache lines of the source are used up before moving on. */
static void tiled(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride, int64_t rows, int64_t columns, int item_size, int side,
    square_tile square, plain_tile plain)
{
    enum { LINE = 64 };
    int64_t strip = LINE / item_size > side ? LINE / item_size : side;
    int64_t whole_columns = columns - columns % side;
    for (int64_t first = 0; first < rows; first += strip) {
        int64_t last = first + strip < rows ? first + strip : rows;
        int64_t whole_last = last - (last - first) % side;
        for (int64_t column = 0; column < whole_columns; column += side)
            for (int64_t row = first; row < whole_last; row += side)
                square(destination + row * destination_stride + column * item_size,
                    destination_stride, source + column * source_stride + row * item_size,
                    source_stride);
        plain(destination + first * destination_stride + whole_columns * item_size,
            destination_stride, source + whole_columns * source_stride + first * item_size,
            source_stride, whole_last - first, columns - whole_columns);
        plain(destination + whole_last * destination_stride, destination_stride,
            source + whole_last * item_size, source_stride, last - whole_last, columns);
    }
}

void transpose_plane(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride, int64_t rows, int64_t columns, int item_size)
{
    if (source_stride == rows * item_size
        && deinterleave(destination, destination_stride, source, columns, rows, item_size))
        return;
    if (destination_stride == columns * item_size
        && interleave(destination, source, source_stride, rows, columns, item_size))
        return;
#if defined(__x86_64__)
#define TILED(side, square, plain)                                                           \
    tiled(destination, destination_stride, source, source_stride, rows, columns, item_size,  \
        side, square, plain)
    switch (item_size) {
    case 1:
        TILED(16, square_tile_1, plain_tile_1);
        return;
    case 2:
        TILED(8, square_tile_2, plain_tile_2);
        return;
    case 4:
        if (__builtin_cpu_supports("avx2"))
            TILED(8, square_tile_4_avx2, plain_tile_4);
        else
            TILED(4, square_tile_4, plain_tile_4);
        return;
    }
#undef TILED
#endif
    plain_tile plain = item_size == 1 ? plain_tile_1
        : item_size == 2              ? plain_tile_2
        : item_size == 4              ? plain_tile_4
        : item_size == 8              ? plain_tile_8
                                      : plain_tile_16;
    plain(destination, destination_stride, source, source_stride, rows, columns);
}
