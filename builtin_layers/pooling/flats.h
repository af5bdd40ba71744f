/* Linear planes from which windows make planes of the same size: vectors go along the whole plane,
 * through the ends of rows.  First the rows of all windows, then their columns, of which those
 * beyond the ends of a row are masked away.  A template: see kind.h. */

enum {
    FUNCTION(FLAT) = FLAT_ELEMENTS + 4 * WIDTH, /* vectors may go beyond */
};

/* What is equal for all planes. */
struct FUNCTION(plan) {
    int size, pitch; /* of a plane, and from mask to mask */
    uint8_t inside[(FLAT_MASKS + 4 * WIDTH) * sizeof(SCALAR)]; /* ones where a column is */
#if IS_AVERAGE
    float shift[FUNCTION(FLAT)], factor[FUNCTION(FLAT)];
#endif
};

static void FUNCTION(prepare)(const struct pooling_arguments *a, struct FUNCTION(plan) *plan)
{
    const int height = a->input_size[1], width = a->input_size[2];
    const size_t row_bytes = width * sizeof(SCALAR);
    plan->size = height * width;
    plan->pitch = plan->size * (int)sizeof(SCALAR);
    for (int k = 0; k < a->kernel[2]; k++) {
        uint8_t *mask = plan->inside + k * plan->pitch;
        for (int x = 0; x < width; x++) {
            const int column = x + k - a->before[2];
            const int is_inside = column >= 0 && column < width;
            memset(mask + x * sizeof(SCALAR), is_inside ? 0xff : 0, sizeof(SCALAR));
        }
        for (int y = 1; y < height; y++)
            memcpy(mask + y * row_bytes, mask, row_bytes);
    }
#if IS_AVERAGE
    for (int y = 0; y < height; y++) {
        const struct window_range rows = window_range(a, 1, y);
        for (int x = 0; x < width; x++) {
            const struct window_range columns = window_range(a, 2, x);
            const float valid = (float)rows.count * columns.count;
            const float room = (float)rows.room * columns.room;
            plan->shift[y * width + x] = valid * a->input_zero;
            plan->factor[y * width + x] = a->ratio / (a->include_padding ? room : valid);
        }
    }
#endif
}

/* The value of `size` elements `step` apart, from `from` on, that are values themselves. */
INLINED VALUE FUNCTION(joined)(const SCALAR *from, int size, int step)
{
    VALUE value, next;
    memcpy(&value, from, sizeof value);
    for (int k = 1; k < size; k++) {
        memcpy(&next, from + k * step, sizeof next);
        value = FUNCTION(join)(value, next);
    }
    return value;
}

INLINED VALUE FUNCTION(masked)(const SCALAR *from, const uint8_t *mask)
{
    whole_bytes value, inside;
    const whole_bytes nothing = (whole_bytes)FUNCTION(nothing)();
    memcpy(&value, from, sizeof value);
    memcpy(&inside, mask, sizeof inside);
    return (VALUE)((value & inside) | (nothing & ~inside));
}

INLINED void FUNCTION(pool_plane)(const struct pooling_arguments *a,
    const struct FUNCTION(plan) *plan, const ELEMENT *input, ELEMENT *output, SCALAR *copy,
    SCALAR *line, int rows, int columns)
{
    const int size = plan->size, width = a->input_size[2];
    const int above = a->before[1] * width, left = a->before[2];
    for (int i = 0; i < size; i += LANES) {
        const int count = size - i < LANES ? size - i : LANES;
        const VALUE value = FUNCTION(add)(FUNCTION(nothing)(), input + i, count);
        memcpy(copy + above + i, &value, sizeof value);
    }
    for (int i = 0; i < size; i += LANES) {
        const VALUE value = FUNCTION(joined)(copy + i, rows, width);
        memcpy(line + left + i, &value, sizeof value);
    }
    for (int i = 0; i < size; i += LANES) {
        VALUE value = FUNCTION(nothing)();
        for (int k = 0; k < columns; k++)
            value = FUNCTION(join)(value,
                FUNCTION(masked)(line + i + k, plan->inside + k * plan->pitch + i * sizeof(SCALAR)));
        struct finish finish = {0};
#if IS_AVERAGE
        memcpy(&finish.shift, plan->shift + i, sizeof finish.shift);
        memcpy(&finish.factor, plan->factor + i, sizeof finish.factor);
        finish.zero = (float)a->output_zero;
#endif
        if (size - i >= LANES)
            FUNCTION(put)(output + i, value, &finish, LANES);
        else
            FUNCTION(put)(output + i, value, &finish, size - i);
    }
}

static void FUNCTION(flats)(const struct pooling_arguments *a,
    const struct pooling_share *share, const void *from, void *to)
{
    struct FUNCTION(plan) plan;
    SCALAR copy[FUNCTION(FLAT)] __attribute__((aligned(64)));
    SCALAR line[FUNCTION(FLAT)] __attribute__((aligned(64)));
    const VALUE nothing = FUNCTION(nothing)();
    FUNCTION(prepare)(a, &plan);
    for (int i = 0; i < FUNCTION(FLAT); i += LANES) {
        memcpy(copy + i, &nothing, sizeof nothing);
        memcpy(line + i, &nothing, sizeof nothing);
    }
    for (int64_t volume = share->first; volume < share->last; volume++) {
        const int64_t inner = volume % a->outer[1], outer = volume / a->outer[1];
        const ELEMENT *input = (const ELEMENT *)from + outer * a->input_stride[0]
            + inner * a->input_stride[1];
        ELEMENT *output
            = (ELEMENT *)to + outer * a->output_stride[0] + inner * a->output_stride[1];
        if (a->kernel[1] == 3 && a->kernel[2] == 3)
            FUNCTION(pool_plane)(a, &plan, input, output, copy, line, 3, 3);
        else
            FUNCTION(pool_plane)(
                a, &plan, input, output, copy, line, a->kernel[1], a->kernel[2]);
    }
}
