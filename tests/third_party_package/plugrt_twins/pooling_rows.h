/* Pooling over one element type; included once for each of them.
 *
 * Expects ELEMENT (the type), SUM_ELEMENT (the type of sums), NAME(function), LOWEST, and
 * STORE_MEAN(sum) with `factor`, `shift` and `a` in scope.
 */

/* Up to CHUNK channels of one window; with a constant `count` they stay in registers. */
static inline __attribute__((always_inline)) void NAME(largest)(
    const struct pooling *a, const struct span spans[3], const ELEMENT *input,
    ELEMENT *restrict output, int count)
{
    ELEMENT best[CHUNK];
    for (int c = 0; c < count; c++)
        best[c] = LOWEST;
    for (int z = 0; z < spans[0].count; z++)
        for (int y = 0; y < spans[1].count; y++) {
            const ELEMENT *point = input
                + (spans[0].first + z * a->dilation[0]) * a->input_stride[2]
                + (spans[1].first + y * a->dilation[1]) * a->input_stride[3]
                + spans[2].first * a->input_stride[4];
            for (int x = 0; x < spans[2].count; x++) {
                for (int c = 0; c < count; c++)
                    best[c] = point[c] > best[c] ? point[c] : best[c];
                point += a->dilation[2] * a->input_stride[4];
            }
        }
    for (int c = 0; c < count; c++)
        output[c] = best[c];
}

/* The same for a window within the input's columns, its elements listed. */
static inline __attribute__((always_inline)) void NAME(largest_listed)(
    const struct elements *elements, const ELEMENT *input, ELEMENT *restrict output, int count)
{
    ELEMENT best[CHUNK];
    for (int c = 0; c < count; c++)
        best[c] = input[elements->places[0] + c];
    for (int k = 1; k < elements->count; k++) {
        const ELEMENT *point = input + elements->places[k];
        for (int c = 0; c < count; c++)
            best[c] = point[c] > best[c] ? point[c] : best[c];
    }
    for (int c = 0; c < count; c++)
        output[c] = best[c];
}

static inline __attribute__((always_inline)) void NAME(mean)(
    const struct pooling *a, const struct span spans[3], float factor, float shift,
    const ELEMENT *input, ELEMENT *restrict output, int count)
{
    SUM_ELEMENT sum[CHUNK];
    for (int c = 0; c < count; c++)
        sum[c] = 0;
    for (int z = 0; z < spans[0].count; z++)
        for (int y = 0; y < spans[1].count; y++) {
            const ELEMENT *point = input + (spans[0].first + z) * a->input_stride[2]
                + (spans[1].first + y) * a->input_stride[3]
                + spans[2].first * a->input_stride[4];
            for (int x = 0; x < spans[2].count; x++) {
                for (int c = 0; c < count; c++)
                    sum[c] += point[c];
                point += a->input_stride[4];
            }
        }
    for (int c = 0; c < count; c++)
        output[c] = STORE_MEAN(sum[c]);
}

TWIN_CLONES static void NAME(largest_row)(
    const struct pooling *a, const struct row *row, const void *from, void *to)
{
    const ELEMENT *input = from;
    ELEMENT *output = to;
    struct span spans[3] = {span_of(a, 0, row->depth), span_of(a, 1, row->height), {0, 0, 0}};
    struct elements elements;
    list_elements(a, spans, &elements);
    for (int x = 0; x < a->output_size[2]; x++, output += a->output_stride[4]) {
        int c = row->begin;
        spans[2] = span_of(a, 2, x);
        if (elements.count > 0 && spans[2].count == a->kernel[2]) {
            const ELEMENT *first = input + spans[2].first * a->input_stride[4];
            for (; c + CHUNK <= row->end; c += CHUNK)
                NAME(largest_listed)(&elements, first + c, output + c, CHUNK);
            for (; c + 16 <= row->end; c += 16)
                NAME(largest_listed)(&elements, first + c, output + c, 16);
            for (; c + 8 <= row->end; c += 8)
                NAME(largest_listed)(&elements, first + c, output + c, 8);
            for (; c < row->end; c++)
                NAME(largest_listed)(&elements, first + c, output + c, 1);
            continue;
        }
        for (; c + 16 <= row->end; c += 16)
            NAME(largest)(a, spans, input + c, output + c, 16);
        for (; c < row->end; c++)
            NAME(largest)(a, spans, input + c, output + c, 1);
    }
}

TWIN_CLONES static void NAME(mean_row)(
    const struct pooling *a, const struct row *row, const void *from, void *to)
{
    const ELEMENT *input = from;
    ELEMENT *output = to;
    struct span spans[3] = {span_of(a, 0, row->depth), span_of(a, 1, row->height), {0, 0, 0}};
    for (int x = 0; x < a->output_size[2]; x++, output += a->output_stride[4]) {
        spans[2] = span_of(a, 2, x);
        float inside = (float)spans[0].count * spans[1].count * spans[2].count;
        float padded = (float)spans[0].room * spans[1].room * spans[2].room;
        float factor = a->ratio / (a->include_padding ? padded : inside);
        float shift = inside * a->input_zero;
        int c = row->begin;
        for (; c + CHUNK <= row->end; c += CHUNK)
            NAME(mean)(a, spans, factor, shift, input + c, output + c, CHUNK);
        for (; c + 16 <= row->end; c += 16)
            NAME(mean)(a, spans, factor, shift, input + c, output + c, 16);
        for (; c + 8 <= row->end; c += 8)
            NAME(mean)(a, spans, factor, shift, input + c, output + c, 8);
        for (; c < row->end; c++)
            NAME(mean)(a, spans, factor, shift, input + c, output + c, 1);
    }
}

#undef ELEMENT
#undef SUM_ELEMENT
#undef NAME
#undef LOWEST
#undef STORE_MEAN
