/* Winograd convolution of tensors in bfloat16 for AVX-512 with BF16. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma,prefer-vector-width=512")

#include "winograd.h"

#include <immintrin.h>
#include <string.h>

#define WINOGRAD_ADD_PRODUCT(sum, word, weight) \
    (VECTOR) _mm512_dpbf16_ps(                  \
        (__m512)(sum), (__m512bh)_mm512_set1_ps(word), (__m512bh)(weight))
#define WINOGRAD_LEAKY(x, slope) \
    _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LE_OQ), x, slope)
#define WINOGRAD_CLIP(x, low, high) _mm512_min_ps(high, _mm512_max_ps(low, x))

/* The first so many of 16 channels. */
#define FIRST(channels) (__mmask16)((1u << (channels)) - 1)
#define WINOGRAD_ELEMENT uint16_t
#define WINOGRAD_READ(value, from, channels)                                                  \
    (value) = (VECTOR)_mm512_slli_epi32(                                                     \
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(FIRST(channels), from)), 16)
#define WINOGRAD_WRITE(to, value, channels)                                                   \
    _mm256_mask_storeu_epi16(                                                                \
        to, FIRST(channels), (__m256i)_mm512_cvtneps_pbh((__m512)(value)))

#define SUFFIX avx512_bf16
#define LANES 16
#define ROWS 14
#include "winograd_product.h"

#define TILE 2
#include "winograd_output.h"
#undef SUFFIX

#define SUFFIX 32
#define WORDS 16
#include "winograd_narrow_forward.h"
#undef SUFFIX
#undef WORDS

#define SUFFIX 16
#define WORDS 8
#include "winograd_narrow_forward.h"

enum { SIDE = TILE + 2, LAST_BLOCK = WINOGRAD_BLOCK };

/* Copies the points of a tile that reaches beyond the input, or `channels` that are no whole
 * block, to `to` with zeros in place of what is missing. */
static void gather(const struct winograd_call *call, const uint16_t *from, int row, int column,
    int channels, uint16_t *to)
{
    const struct winograd_arguments *a = call->arguments;
    const int64_t half = a->input_stride[1];
    const int first = channels < WINOGRAD_BLOCK ? channels : WINOGRAD_BLOCK;
    const __mmask16 low = FIRST(first), high = FIRST(channels - first);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++, to += WINOGRAD_NARROW_BLOCK) {
            const int y = row + i, x = column + j;
            const uint16_t *point = from + y * a->input_stride[2] + x * a->input_stride[3];
            __m256i channels_low = _mm256_setzero_si256(), channels_high = channels_low;
            if (y >= 0 && y < a->input_size[0] && x >= 0 && x < a->input_size[1]) {
                channels_low = _mm256_maskz_loadu_epi16(low, point);
                if (high)
                    channels_high = _mm256_maskz_loadu_epi16(high, point + half);
            }
            _mm256_storeu_si256((__m256i *)to, channels_low);
            _mm256_storeu_si256((__m256i *)(to + WINOGRAD_BLOCK), channels_high);
        }
}

static __attribute__((noinline)) void forward_side_by_side(
    const uint16_t *from, int64_t row, int64_t pixel, float *to)
{
    winograd_narrow_forward_32(from, row, pixel, WINOGRAD_BLOCK, to);
}

static __attribute__((noinline)) void forward_apart(
    const uint16_t *from, int64_t row, int64_t pixel, int64_t half, float *to)
{
    winograd_narrow_forward_32(from, row, pixel, half, to);
}

static __attribute__((noinline)) void forward_last(
    const uint16_t *from, int64_t row, int64_t pixel, float *to)
{
    winograd_narrow_forward_16(from, row, pixel, 0, to);
}

void plugrt_winograd_input_narrow(
    const struct winograd_call *call, const struct winograd_chunk *chunk, int begin, int end)
{
    const struct winograd_arguments *a = call->arguments;
    struct winograd_place place = winograd_place_of(call, chunk->first + begin);
    for (int t = begin; t < end; t++, winograd_advance(call, &place)) {
        const int row = place.row - a->before[0], column = place.column - a->before[1];
        const int inside = row >= 0 && row + SIDE <= a->input_size[0] && column >= 0
            && column + SIDE <= a->input_size[1];
        const uint16_t *image = (const uint16_t *)call->input + place.image * a->input_stride[0];
        float *to = chunk->transformed + t * WINOGRAD_BLOCK;
        for (int b = 0; b < call->blocks; b++, to += SIDE * SIDE * WINOGRAD_POSITION) {
            const int left = a->channels - b * WINOGRAD_NARROW_BLOCK;
            const uint16_t *from = image + 2 * b * a->input_stride[1];
            int64_t row_stride = a->input_stride[2], pixel_stride = a->input_stride[3];
            int64_t half = a->input_stride[1];
            uint16_t patch[SIDE * SIDE * WINOGRAD_NARROW_BLOCK];
            if (inside && (left >= WINOGRAD_NARROW_BLOCK || left == LAST_BLOCK)) {
                from += row * row_stride + column * pixel_stride;
            } else {
                gather(call, from, row, column,
                    left < WINOGRAD_NARROW_BLOCK ? left : WINOGRAD_NARROW_BLOCK, patch);
                from = patch;
                row_stride = SIDE * WINOGRAD_NARROW_BLOCK;
                pixel_stride = WINOGRAD_NARROW_BLOCK;
                half = WINOGRAD_BLOCK;
            }
            if (left <= LAST_BLOCK)
                forward_last(from, row_stride, pixel_stride, to);
            else if (half == WINOGRAD_BLOCK)
                forward_side_by_side(from, row_stride, pixel_stride, to);
            else
                forward_apart(from, row_stride, pixel_stride, half, to);
        }
    }
}

#endif
