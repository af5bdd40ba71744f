/* Windows that each see a whole linear volume.  A template: see kind.h. */

static void FUNCTION(wholes)(const struct pooling_arguments *a,
    const struct pooling_share *share, const void *from, void *to)
{
    enum { SUMS = 4 };
    const int64_t size = (int64_t)a->input_size[0] * a->input_size[1] * a->input_size[2];
    struct pooling_cursor cursor = pooling_cursor(a, 0);
    const struct pooling_row row = next_pooling_row(a, &cursor);
    const struct finish finish = FUNCTION(finish)(a, &row, window_range(a, 2, 0));
    for (int64_t volume = share->first; volume < share->last; volume++) {
        const int64_t inner = volume % a->outer[1], outer = volume / a->outer[1];
        const ELEMENT *input = (const ELEMENT *)from + outer * a->input_stride[0]
            + inner * a->input_stride[1];
        ELEMENT *output
            = (ELEMENT *)to + outer * a->output_stride[0] + inner * a->output_stride[1];
        VALUE values[SUMS];
#pragma GCC unroll 4
        for (int k = 0; k < SUMS; k++)
            values[k] = FUNCTION(nothing)();
        int64_t i = 0;
        for (; i + SUMS * LANES <= size; i += SUMS * LANES)
#pragma GCC unroll 4
            for (int k = 0; k < SUMS; k++)
                values[k] = FUNCTION(add)(values[k], input + i + k * LANES, LANES);
        for (; i + LANES <= size; i += LANES)
            values[0] = FUNCTION(add)(values[0], input + i, LANES);
        if (i < size)
            values[2] = FUNCTION(add)(values[2], input + i, (int)(size - i));
        VALUE value = FUNCTION(join)(
            FUNCTION(join)(values[0], values[1]), FUNCTION(join)(values[2], values[3]));
#pragma GCC unroll 6
        for (int left = WIDTH / 2; left >= (int)sizeof(SCALAR); left /= 2)
            value = FUNCTION(join)(value, (VALUE)moved_down((whole_bytes)value, left));
        FUNCTION(put)(output, value, &finish, 1);
    }
}
