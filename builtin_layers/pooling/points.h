/* Windows over points of neighbouring channels.  A template: see kind.h. */

#ifndef MOST_VECTORS
/* Vectors of a point that are pooled side by side, by a few columns or by any windows: long
 * stretches of memory, as many as there are registers for. */
#define MOST_VECTORS (WIDTH == 64 ? 4 : 2)
#define SEPARATE_VECTORS (WIDTH == 64 ? 8 : 4)
#endif

/* How sums over a window become means; maxima need nothing. */
INLINED struct finish FUNCTION(finish)(
    const struct pooling_arguments *a, const struct pooling_row *row, struct window_range width)
{
    struct finish finish = {0};
#if IS_AVERAGE
    const float valid = (float)row->depth.count * row->height.count * width.count;
    const float room = (float)row->depth.room * row->height.room * width.room;
    finish.shift += valid * a->input_zero;
    finish.factor += a->ratio / (a->include_padding ? room : valid);
    finish.zero = (float)a->output_zero;
#else
    (void)a, (void)row, (void)width;
#endif
    return finish;
}

/* What `size` rows have in one column of points. */
INLINED void FUNCTION(column)(
    const ELEMENT *const rows[3], int64_t at, VALUE *values, int size, int vectors, int count)
{
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        values[v] = FUNCTION(nothing)();
#pragma GCC unroll 3
        for (int r = 0; r < size; r++)
            values[v] = FUNCTION(add)(values[v], rows[r] + at + v * LANES, count);
    }
}

/* `number` windows of `size` rows and columns, all inside the input and `stride` from each other:
 * neighbours share columns.  `rows` begin at the first window. */
INLINED void FUNCTION(inside)(const struct pooling_arguments *a, const ELEMENT *const rows[3],
    ELEMENT *output, const struct finish *finish, int number, int size, int stride, int vectors,
    int count)
{
    VALUE columns[3][MOST_VECTORS];
    const int64_t step = a->input_stride[4];
    const int shared = size - stride;
    int64_t at = 0;
#pragma GCC unroll 3
    for (int k = 0; k < shared; k++, at += step)
        FUNCTION(column)(rows, at, columns[k], size, vectors, count);
    for (int x = 0; x < number; x++, output += a->output_stride[4]) {
#pragma GCC unroll 3
        for (int k = shared; k < size; k++, at += step)
            FUNCTION(column)(rows, at, columns[k], size, vectors, count);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            VALUE value = FUNCTION(join)(columns[0][v], columns[1][v]);
            if (size == 3)
                value = FUNCTION(join)(value, columns[2][v]);
            FUNCTION(put)(output + v * LANES, value, finish, count);
        }
#pragma GCC unroll 3
        for (int k = 0; k < shared; k++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                columns[k][v] = columns[k + stride][v];
    }
}

/* Windows [first, last) of a row, each for itself.  A lone vector is pooled as several, so that additions
 * need not wait for each other. */
INLINED void FUNCTION(separate)(const struct pooling_arguments *a, const struct pooling_row *row,
    const ELEMENT *input, ELEMENT *output, int first, int last, int vectors, int count)
{
    enum { SUMS = 4, VALUES = SEPARATE_VECTORS };
    const int64_t step = a->dilation[2] * a->input_stride[4];
    output += first * a->output_stride[4];
    for (int x = first; x < last; x++, output += a->output_stride[4]) {
        const struct window_range width = window_range(a, 2, x);
        VALUE values[VALUES];
        const int several = vectors == 1 && width.count >= SUMS;
#pragma GCC unroll 8
        for (int v = 0; v < VALUES; v++)
            values[v] = FUNCTION(nothing)();
        for (int d = 0; d < row->depth.count; d++)
            for (int h = 0; h < row->height.count; h++) {
                const ELEMENT *at = input + d * a->dilation[0] * a->input_stride[2]
                    + h * a->dilation[1] * a->input_stride[3]
                    + width.first * a->input_stride[4];
                int w = 0;
                if (several)
                    for (; w + SUMS <= width.count; w += SUMS, at += SUMS * step)
#pragma GCC unroll 4
                        for (int k = 0; k < SUMS; k++)
                            values[k] = FUNCTION(add)(values[k], at + k * step, count);
                for (; w < width.count; w++, at += step)
#pragma GCC unroll 8
                    for (int v = 0; v < vectors; v++)
                        values[v] = FUNCTION(add)(values[v], at + v * LANES, count);
            }
        if (several)
            values[0] = FUNCTION(join)(FUNCTION(join)(values[0], values[1]),
                FUNCTION(join)(values[2], values[3]));
        const struct finish finish = FUNCTION(finish)(a, row, width);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            FUNCTION(put)(output + v * LANES, values[v], &finish, count);
    }
}

/* Whether neighbours may share columns, in registers. */
INLINED int FUNCTION(is_usual)(const struct pooling_arguments *a)
{
    const int size = a->kernel[2], stride = a->stride[2];
    return WIDTH > 16 && a->kernel[0] == 1 && a->kernel[1] == size && (size == 2 || size == 3) && stride <= 2
        && a->dilation[1] == 1 && a->dilation[2] == 1;
}

/* A row of usual windows, `vectors` vectors of channels, of the last of which `count`. */
INLINED void FUNCTION(usual)(const struct pooling_arguments *a, const struct pooling_row *row,
    const ELEMENT *input, ELEMENT *output, int vectors, int count)
{
    const int size = a->kernel[2], stride = a->stride[2], seen = row->height.count;
    const int begin = steps_to(a->before[2], stride);
    const int reach = a->input_size[2] + a->before[2] - size;
    const int behind = reach < 0 ? 0 : reach / stride + 1;
    const int end = behind < a->output_size[2] ? behind : a->output_size[2];
    /* A row twice does no harm to maxima. */
    const int is_whole = row->depth.count == 1 && (seen == size || (!IS_AVERAGE && seen > 0));
    const int first = is_whole && begin < end ? begin : a->output_size[2];
    const int last = is_whole && begin < end ? end : a->output_size[2];
    FUNCTION(separate)(a, row, input, output, 0, first, vectors, count);
    FUNCTION(separate)(a, row, input, output, last, a->output_size[2], vectors, count);
    if (first == last)
        return;
    const struct finish finish
        = FUNCTION(finish)(a, row, (struct window_range){0, size, size});
    const ELEMENT *rows[3];
    for (int r = 0; r < 3; r++)
        rows[r] = input + (first * stride - a->before[2]) * a->input_stride[4]
            + (r < seen ? r : 0) * a->input_stride[3];
    output += first * a->output_stride[4];
#define INSIDE(size, stride)                                                                 \
    FUNCTION(inside)(a, rows, output, &finish, last - first, size, stride, vectors, count)
    if (size == 2 && stride == 1)
        INSIDE(2, 1);
    else if (size == 2)
        INSIDE(2, 2);
    else if (stride == 1)
        INSIDE(3, 1);
    else
        INSIDE(3, 2);
#undef INSIDE
}

static void FUNCTION(points)(const struct pooling_arguments *a,
    const struct pooling_share *share, const void *from, void *to)
{
    const int is_usual = FUNCTION(is_usual)(a);
    struct pooling_cursor cursor = pooling_cursor(a, share->first);
    for (int64_t index = share->first; index < share->last; index++) {
        const struct pooling_row row = next_pooling_row(a, &cursor);
        const ELEMENT *input = (const ELEMENT *)from + row.from;
        ELEMENT *output = (ELEMENT *)to + row.to;
        int c = share->begin;
#define WHILE_LEFT(vectors, count)                                                           \
    for (; c + (vectors - 1) * LANES + (count) <= share->end; c += (vectors - 1) * LANES + (count))
#define SEPARATE(vectors, count)                                                             \
    FUNCTION(separate)(a, &row, input + c, output + c, 0, a->output_size[2], vectors, count)
#define USUAL(vectors, count)                                                                \
    FUNCTION(usual)(a, &row, input + c, output + c, vectors, count)
        if (is_usual) {
            WHILE_LEFT(MOST_VECTORS, LANES) USUAL(MOST_VECTORS, LANES);
            if (MOST_VECTORS > 2)
                WHILE_LEFT(2, LANES) USUAL(2, LANES);
            WHILE_LEFT(1, LANES) USUAL(1, LANES);
            if (WIDTH == 64 && c < share->end) {
                USUAL(1, share->end - c);
            } else {
                WHILE_LEFT(1, LANES / 2) USUAL(1, LANES / 2);
                WHILE_LEFT(1, 1) SEPARATE(1, 1);
            }
        } else {
            WHILE_LEFT(SEPARATE_VECTORS, LANES) SEPARATE(SEPARATE_VECTORS, LANES);
            WHILE_LEFT(1, LANES) SEPARATE(1, LANES);
            if (WIDTH == 64 && c < share->end) {
                SEPARATE(1, share->end - c);
            } else {
                WHILE_LEFT(1, LANES / 2) SEPARATE(1, LANES / 2);
                WHILE_LEFT(1, 1) SEPARATE(1, 1);
            }
        }
#undef WHILE_LEFT
#undef SEPARATE
#undef USUAL
    }
}
