/* The work on one row of a depthwise convolution of channels-last tensors in bfloat16, for
 * processors that multiply pairs of bfloat16 values and add both products to a float: a pair is two
 * rows of the window, so that three rows take two steps.  A template as depthwise_row.h, whose
 * names it uses.
 *
 * Interleaving the elements of two rows puts the channels of each eighth of a vector of 32 in two
 * halves.  The weights are in that order: [pair of rows][column][32 channels: half, eighth, 4
 * channels][2 rows]; a last row without a partner has zeros beside it. */
#define PAIR_STEP NAMED(depthwise_pair_step, SUFFIX)
#define PAIR_CHANNELS NAMED(depthwise_pair_channels, SUFFIX)

#define PAIR_ADD NAMED(depthwise_pair_add, SUFFIX)

enum { PAIR_LANES = 32 };

/* Adds two rows of the window to the sums, or one where it is no pair. `upper` and `lower` tell
 * which channels of each to load. */
INLINED void PAIR_ADD(const struct depthwise_strip *s, int columns, int stride, int points,
    int inside, const char *above, const char *below, const uint16_t *weights, __mmask16 upper,
    __mmask16 lower, int is_pair, VECTOR *low, VECTOR *high)
{
    const int64_t pixel = s->input_pixel, next = s->weights_column;
    const int first = s->column, width = s->arguments->input_size[1];
    __m512bh weight[5][2];
#pragma GCC unroll 5
    for (int w = 0; w < columns; w++, weights += next) {
        weight[w][0] = (__m512bh)_mm512_loadu_si512(weights);
        weight[w][1] = (__m512bh)_mm512_loadu_si512(weights + PAIR_LANES);
    }
#pragma GCC unroll 24
    for (int i = 0; i < (points - 1) * stride + columns; i++, above += pixel, below += pixel) {
        KEEP_ADDRESS(above);
        if (is_pair)
            KEEP_ADDRESS(below);
        if (!inside && (unsigned)(first + i) >= (unsigned)width)
            continue;
        const __m512i x = _mm512_maskz_loadu_epi32(upper, above);
        __m512i y = _mm512_setzero_si512();
        if (is_pair)
            y = _mm512_maskz_loadu_epi32(lower, below);
        const __m512bh pairs_low = (__m512bh)_mm512_unpacklo_epi16(x, y);
        const __m512bh pairs_high = (__m512bh)_mm512_unpackhi_epi16(x, y);
#pragma GCC unroll 5
        for (int w = 0; w < columns; w++)
            if (w <= i && (i - w) % stride == 0 && (i - w) / stride < points) {
                const int p = (i - w) / stride;
                low[p] = (VECTOR)_mm512_dpbf16_ps((__m512)low[p], pairs_low, weight[w][0]);
                high[p] = (VECTOR)_mm512_dpbf16_ps((__m512)high[p], pairs_high, weight[w][1]);
            }
    }
}

/* `mask` tells which of 16 pairs of channels there are: masks for words are slow. */
INLINED void PAIR_STEP(const struct depthwise_strip *s, int columns, int stride, int points,
    int inside, const char *input, const uint16_t *weights, const float *bias, char *output,
    __mmask16 mask)
{
    const struct depthwise_arguments *a = s->arguments;
    const int64_t next = s->weights_column, line = s->input_row;
    VECTOR low[MOST_POINTS], high[MOST_POINTS], low_bias = {0}, high_bias = {0};
    if (bias != NULL) {
        const __mmask8 first = (__mmask8)mask, second = (__mmask8)(mask >> 8);
        const __m512 before = _mm512_castpd_ps(_mm512_maskz_loadu_pd(first, bias));
        const __m512 behind = _mm512_castpd_ps(_mm512_maskz_loadu_pd(second, bias + LANES));
        low_bias = (VECTOR)_mm512_shuffle_f32x4(before, behind, 0x88);
        high_bias = (VECTOR)_mm512_shuffle_f32x4(before, behind, 0xdd);
    }
#pragma GCC unroll 8
    for (int p = 0; p < points; p++) {
        low[p] = low_bias;
        high[p] = high_bias;
    }
    const int from = s->missing, to = s->missing + s->rows;
    int h = 0;
    for (; h + 1 < columns; h += 2, input += 2 * line, weights += columns * next) {
        const int has_upper = h >= from && h < to, has_lower = h + 1 >= from && h + 1 < to;
        /* A row outside the image is zeros; where it would lie is slow to touch, even so. */
        if (has_upper || has_lower)
            PAIR_ADD(s, columns, stride, points, inside, has_upper ? input : input + line,
                has_lower ? input + line : input, weights, has_upper ? mask : 0,
                has_lower ? mask : 0, 1, low, high);
    }
    if (h >= from && h < to)
        PAIR_ADD(s, columns, stride, points, inside, input, input, weights, mask, 0, 0, low, high);
    ACTIVATE_ALL(&a->epilogue.first, low, points);
    ACTIVATE_ALL(&a->epilogue.first, high, points);
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    const int64_t output_pixel = s->output_pixel;
    const int count = s->points;
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        if (inside || p < count) {
            const __m512i mixed = (__m512i)_mm512_cvtne2ps_pbh((__m512)high[p], (__m512)low[p]);
            _mm512_mask_storeu_epi32(
                output + p * output_pixel, mask, _mm512_permutexvar_epi64(order, mixed));
        }
}

/* All channels of a strip's steps. */
INLINED void PAIR_CHANNELS(
    const struct depthwise_strip *strip, int columns, int stride, int points, int inside)
{
    const struct depthwise_arguments a = *strip->arguments;
    struct depthwise_strip s = *strip; /* nothing that is stored can change it */
    s.arguments = &a;
    const char *input = s.input - s.missing * s.input_row;
    const uint16_t *weights = s.weights;
    char *output = s.output;
    for (int t = 0; t < s.steps; t++) {
        for (int c = 0; c < s.channels; c += PAIR_LANES) {
            const int left = s.channels - c;
            const __mmask16 mask = (__mmask16)(left < PAIR_LANES ? (1u << left / 2) - 1 : ~0u);
            PAIR_STEP(&s, columns, stride, points, inside, input + c * sizeof(uint16_t),
                weights + 2 * c, s.bias == NULL ? NULL : s.bias + c,
                output + c * sizeof(uint16_t), mask);
        }
        input += points * stride * s.input_pixel;
        output += points * s.output_pixel;
    }
}

#define DEFINE_PAIR_STRIPS(columns, stride, points)                                          \
    static void NAMED(strip_pairs_##columns##_##stride##_##points, SUFFIX)(                  \
        const struct depthwise_strip *strip)                                                 \
    {                                                                                        \
        PAIR_CHANNELS(strip, columns, stride, points, 1);                                    \
    }                                                                                        \
    static void NAMED(strip_cut_pairs_##columns##_##stride##_##points, SUFFIX)(              \
        const struct depthwise_strip *strip)                                                 \
    {                                                                                        \
        PAIR_CHANNELS(strip, columns, stride, points, 0);                                    \
    }

#define DEFINE_BEST_PAIRS(columns, stride)                                                   \
    DEFINE_PAIR_STRIPS(columns, stride, 8)                                                   \
    DEFINE_PAIR_STRIPS(columns, stride, 7)                                                   \
    DEFINE_PAIR_STRIPS(columns, stride, 5)

DEFINE_BEST_PAIRS(3, 1)
DEFINE_BEST_PAIRS(3, 2)
DEFINE_BEST_PAIRS(5, 1)
DEFINE_BEST_PAIRS(5, 2)

void NAMED(plugrt_depthwise_pairs, SUFFIX)(
    const struct depthwise_arguments *a, const struct depthwise_row *row)
{
    const int columns = a->kernel[1], stride = a->stride[1];
    if (columns == 3 && stride == 1)
        RUN_BEST(pairs, 3, 1);
    else if (columns == 3)
        RUN_BEST(pairs, 3, 2);
    else if (stride == 1)
        RUN_BEST(pairs, 5, 1);
    else
        RUN_BEST(pairs, 5, 2);
}
