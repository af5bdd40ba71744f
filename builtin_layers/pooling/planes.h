/* Large windows, all of whose neighbours overlap but for one step: maxima along rows, then of
 * those along columns, four at a time.  A template: see kind.h. */

/* The maxima of windows `index`, `index` + 1... along one axis, `number` (at most four) of them,
 * into `values`.  Elements are `step` apart; `kept` tells that they are values already. */
INLINED void FUNCTION(along)(const ELEMENT *from, int64_t step, int kept, int count,
    int size, int kernel, int before, int index, int number, VALUE *values)
{
    int begin[4], end[4];
    for (int k = 0; k < number; k++) {
        const int start = index + k - before;
        begin[k] = start > 0 ? start : 0;
        end[k] = start + kernel < size ? start + kernel : size;
    }
#define TAKEN(value, at)                                                                     \
    value = kept ? FUNCTION(join)(value, *(const VALUE *)(from + (at) * step))               \
                 : FUNCTION(add)(value, from + (at) * step, count)
    VALUE common = FUNCTION(nothing)(), earlier = common, later = common;
    const int last = begin[number - 1];
    const int middle = last > end[0] ? last : end[0];
    for (int at = last; at < end[0]; at++)
        TAKEN(common, at);
    for (int k = number - 1; k >= 0; k--) {
        const int until = k == number - 1 ? last : begin[k + 1];
        for (int at = begin[k]; at < until && at < middle; at++)
            TAKEN(earlier, at);
        values[k] = FUNCTION(join)(common, earlier);
    }
    for (int k = 1; k < number; k++) {
        for (int at = end[k - 1]; at < end[k]; at++)
            TAKEN(later, at);
        values[k] = FUNCTION(join)(values[k], later);
    }
#undef TAKEN
}

/* `count` channels of one plane. */
INLINED void FUNCTION(pool_channels)(const struct pooling_arguments *a, const ELEMENT *input,
    ELEMENT *output, VALUE *plane, int count)
{
    const int width = a->output_size[2], height = a->output_size[1];
    const struct finish finish = {0};
    for (int y = 0; y < a->input_size[1]; y++)
        for (int x = 0; x < width; x += 4)
            FUNCTION(along)(input + y * a->input_stride[3], a->input_stride[4], 0, count,
                a->input_size[2], a->kernel[2], a->before[2], x, width - x < 4 ? width - x : 4,
                plane + y * width + x);
    for (int y = 0; y < height; y += 4)
        for (int x = 0; x < width; x++) {
            const int rows = height - y < 4 ? height - y : 4;
            VALUE values[4];
            FUNCTION(along)((const ELEMENT *)(plane + x), (int64_t)width * LANES, 1, LANES,
                a->input_size[1], a->kernel[1], a->before[1], y, rows, values);
            ELEMENT *at = output + y * a->output_stride[3] + x * a->output_stride[4];
            for (int k = 0; k < rows; k++)
                FUNCTION(put)(at + k * a->output_stride[3], values[k], &finish, count);
        }
}

static void FUNCTION(planes)(const struct pooling_arguments *a,
    const struct pooling_share *share, const void *from, void *to)
{
    VALUE plane[PLANE_BYTES / WIDTH];
    for (int64_t volume = share->first; volume < share->last; volume++) {
        const int64_t inner = volume % a->outer[1], outer = volume / a->outer[1];
        const ELEMENT *input = (const ELEMENT *)from + outer * a->input_stride[0]
            + inner * a->input_stride[1];
        ELEMENT *output
            = (ELEMENT *)to + outer * a->output_stride[0] + inner * a->output_stride[1];
        int c = share->begin;
        for (; c + LANES <= share->end; c += LANES)
            FUNCTION(pool_channels)(a, input + c, output + c, plane, LANES);
        if (c < share->end)
            FUNCTION(pool_channels)(a, input + c, output + c, plane, share->end - c);
    }
}
