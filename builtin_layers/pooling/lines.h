/* Rows whose points are single elements side by side, as in linear tensors: vectors go along the
 * row, over what a window's rows have in each column, then over columns.  A template: see
 * kind.h. */

enum {
    FUNCTION(LINE) = LINE_ELEMENTS + 4 * WIDTH, /* vectors may go beyond */
};

/* How sums become means along part of a row: for each window the elements in its columns, and
 * one by the number that counts. */
struct FUNCTION(counts) {
    int first; /* window */
#if IS_AVERAGE
    float valid[FUNCTION(LINE)], inverse[FUNCTION(LINE)];
#endif
};

INLINED void FUNCTION(count_columns)(
    const struct pooling_arguments *a, struct FUNCTION(counts) *counts, int first, int number)
{
#if IS_AVERAGE
    if (counts->first == first)
        return;
    for (int x = 0; x < number; x++) {
        const struct window_range width = window_range(a, 2, first + x);
        counts->valid[x] = (float)width.count;
        counts->inverse[x] = 1.0f / (float)(a->include_padding ? width.room : width.count);
    }
    counts->first = first;
#else
    (void)a, (void)counts, (void)first, (void)number;
#endif
}

INLINED struct finish FUNCTION(finish_of_line)(const struct pooling_arguments *a,
    const struct pooling_row *row, const struct FUNCTION(counts) *counts, int x)
{
    struct finish finish = {0};
#if IS_AVERAGE
    const float valid = (float)row->depth.count * row->height.count;
    const float room = (float)row->depth.room * row->height.room;
    memcpy(&finish.shift, counts->valid + x, sizeof finish.shift);
    memcpy(&finish.factor, counts->inverse + x, sizeof finish.factor);
    finish.shift *= valid * a->input_zero;
    finish.factor *= a->ratio / (a->include_padding ? room : valid);
    finish.zero = (float)a->output_zero;
#else
    (void)a, (void)row, (void)counts, (void)x;
#endif
    return finish;
}

/* What a window's rows have in columns from `from` on. */
INLINED VALUE FUNCTION(gather)(const struct pooling_arguments *a, const struct pooling_row *row,
    const ELEMENT *from, int count)
{
    VALUE value = FUNCTION(nothing)();
    for (int d = 0; d < row->depth.count; d++)
        for (int h = 0; h < row->height.count; h++)
            value = FUNCTION(add)(value,
                from + d * a->dilation[0] * a->input_stride[2]
                    + h * a->dilation[1] * a->input_stride[3],
                count);
    return value;
}

/* The same for columns [first, first + number) of the input, nothing where there are none. */
INLINED void FUNCTION(gather_line)(const struct pooling_arguments *a,
    const struct pooling_row *row, const ELEMENT *input, SCALAR *line, int first, int number)
{
    const VALUE nothing = FUNCTION(nothing)();
    const int begin = first < 0 ? -first : 0;
    const int end = first + number > a->input_size[2] ? a->input_size[2] - first : number;
    VALUE value;
    int x = 0;
    for (; x < begin; x++)
        line[x] = nothing[0];
    for (; x + LANES <= end; x += LANES) {
        value = FUNCTION(gather)(a, row, input + first + x, LANES);
        memcpy(line + x, &value, sizeof value);
    }
    if (x < end) {
        value = FUNCTION(gather)(a, row, input + first + x, end - x);
        memcpy(line + x, &value, sizeof value);
    }
    for (x = end > begin ? end : begin; x < number; x += LANES)
        memcpy(line + x, &nothing, sizeof nothing);
}

/* What windows have that begin at `line`, line + 1... */
INLINED VALUE FUNCTION(windows)(const SCALAR *line, int kernel, int dilation)
{
    VALUE value, next;
    memcpy(&value, line, sizeof value);
    for (int k = 1; k < kernel; k++) {
        memcpy(&next, line + k * dilation, sizeof next);
        value = FUNCTION(join)(value, next);
    }
    return value;
}

/* The windows of a line: `kernel`, `stride` and `dilation` are constants for those that are
 * usual. */
INLINED void FUNCTION(pool_line)(const struct pooling_arguments *a,
    const struct pooling_row *row, const struct FUNCTION(counts) *counts, const SCALAR *line,
    ELEMENT *output, int number, int kernel, int stride, int dilation)
{
    const int step = stride <= 2 ? LANES : 1;
    for (int x = 0; x < number; x += step) {
        VALUE value = FUNCTION(windows)(line + x * stride, kernel, dilation);
        if (stride == 2)
            value = FUNCTION(evens)(
                value, FUNCTION(windows)(line + x * stride + LANES, kernel, dilation));
        const struct finish finish = FUNCTION(finish_of_line)(a, row, counts, x);
        if (number - x >= step && step == LANES)
            FUNCTION(put)(output + x, value, &finish, LANES);
        else
            FUNCTION(put)(output + x, value, &finish, step == 1 ? 1 : number - x);
    }
}

static void FUNCTION(lines)(const struct pooling_arguments *a,
    const struct pooling_share *share, const void *from, void *to)
{
    /* Some rows at a time: what was just stored is slow to load otherwise. */
    enum { MOST_ROWS = 16 };
    SCALAR lines[FUNCTION(LINE)] __attribute__((aligned(64)));
    struct FUNCTION(counts) counts = {.first = -1};
    struct pooling_row rows[MOST_ROWS];
    const int kernel = a->kernel[2], stride = a->stride[2], dilation = a->dilation[2];
    const int extent = window_extent(a, 2), width = a->output_size[2];
    const int most = (LINE_ELEMENTS - extent) / stride + 1;
    struct pooling_cursor cursor = pooling_cursor(a, share->first);
    for (int64_t left = share->last - share->first; left > 0;) {
        const int whole = (width < most ? width : most), span = (whole - 1) * stride + extent;
        const int pitch = (span + LANES - 1) / LANES * LANES;
        int count = LINE_ELEMENTS / pitch > 1 ? LINE_ELEMENTS / pitch : 1;
        count = count < MOST_ROWS ? count : MOST_ROWS;
        count = count < left ? count : (int)left;
        left -= count;
        for (int r = 0; r < count; r++)
            rows[r] = next_pooling_row(a, &cursor);
        for (int x = 0; x < width; x += most) {
            const int number = width - x < most ? width - x : most;
            FUNCTION(count_columns)(a, &counts, x, number);
            for (int r = 0; r < count; r++)
                FUNCTION(gather_line)(a, &rows[r], (const ELEMENT *)from + rows[r].from,
                    lines + r * pitch, x * stride - a->before[2],
                    (number - 1) * stride + extent);
            for (int r = 0; r < count; r++) {
                const SCALAR *line = lines + r * pitch;
                ELEMENT *output = (ELEMENT *)to + rows[r].to + x;
                if (kernel == 2 && stride == 2 && dilation == 1)
                    FUNCTION(pool_line)(a, &rows[r], &counts, line, output, number, 2, 2, 1);
                else if (kernel == 3 && stride == 2 && dilation == 1)
                    FUNCTION(pool_line)(a, &rows[r], &counts, line, output, number, 3, 2, 1);
                else if (kernel == 3 && stride == 1 && dilation == 1)
                    FUNCTION(pool_line)(a, &rows[r], &counts, line, output, number, 3, 1, 1);
                else
                    FUNCTION(pool_line)(
                        a, &rows[r], &counts, line, output, number, kernel, stride, dilation);
            }
        }
    }
}
