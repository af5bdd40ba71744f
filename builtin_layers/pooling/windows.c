/* Which way windows are pooled, and how the work is shared out among threads. */
#include "windows.h"

enum { CHANNELS_AT_LEAST = 64 }; /* worth a task of their own, and of whole cache lines */

enum { LARGE_WINDOW = 4 }; /* from here on overlapping windows share their maxima */

/* Whether points are single elements, side by side in rows, for lines.h. */
static int has_lines(const struct pooling_arguments *a)
{
    const int apart = (a->input_stride[4] != 1 && a->input_size[2] > 1)
        || (a->output_stride[4] != 1 && a->output_size[2] > 1);
    return a->inner == 1 && !apart && window_extent(a, 2) <= LINE_ELEMENTS / 2;
}

/* Whether there is no depth, and windows are whole and one step from each other. */
static int is_dense_and_flat(const struct pooling_arguments *a)
{
    return a->input_size[0] == 1 && a->output_size[0] == 1 && a->kernel[0] == 1
        && a->stride[1] == 1 && a->stride[2] == 1 && a->dilation[1] == 1 && a->dilation[2] == 1;
}

/* Whether planes are gapless and keep their size, and are small, for flats.h. */
static int has_flats(const struct pooling_arguments *a)
{
    const int height = a->input_size[1], width = a->input_size[2];
    return is_dense_and_flat(a) && a->output_size[1] == height && a->output_size[2] == width
        && (height == 1 || (a->input_stride[3] == width && a->output_stride[3] == width))
        && ((int64_t)height + a->kernel[1]) * width + a->kernel[2] <= FLAT_ELEMENTS
        && (int64_t)height * width * a->kernel[2] <= FLAT_MASKS;
}

/* Whether one window sees all of a gapless volume, for wholes.h. */
static int has_wholes(const struct pooling_arguments *a)
{
    int64_t step = 1;
    for (int axis = 2; axis >= 0; axis--) {
        const int size = a->input_size[axis];
        if (a->output_size[axis] != 1 || a->dilation[axis] != 1
            || window_range(a, axis, 0).count != size
            || (size > 1 && a->input_stride[2 + axis] != step))
            return 0;
        step *= size;
    }
    return 1;
}

/* Whether windows are large, and planes of points small, for planes.h. */
static int has_planes(const struct pooling_arguments *a)
{
    const int is_large = a->kernel[1] >= LARGE_WINDOW && a->kernel[2] >= LARGE_WINDOW;
    const int64_t kept = (int64_t)a->input_size[1] * a->output_size[2] * WIDEST_VECTOR;
    return is_dense_and_flat(a) && a->inner > 1 && is_large && kept <= PLANE_BYTES;
}

int plugrt_run_pooling(const struct pooling_arguments *a, const plugrt_call *call,
    const struct pooling_kind *kind, const struct pooling_kind *narrow)
{
    const void *input = plugrt_address(call, a->input);
    void *output = plugrt_address(call, a->output);
    const int threads = call->thread_count;
    const int64_t volumes = (int64_t)a->outer[0] * a->outer[1];
    int64_t items = volumes * a->output_size[0] * a->output_size[1];
    pooling_function *function = kind->points;
    int least = CHANNELS_AT_LEAST;
    if (has_lines(a)) {
        function = kind->lines;
        if (has_wholes(a)) {
            function = kind->wholes;
        } else if (has_flats(a)) {
            function = kind->flats;
            items = volumes;
        }
    } else if (kind->planes != NULL && has_planes(a)) {
        function = kind->planes;
        items = volumes;
        least = kind->channels;
    } else if (a->inner > 1 && a->inner <= narrow->channels) {
        kind = narrow;
        function = kind->points;
    }
    /* Channels are divided where there are too few rows for all threads. */
    int64_t parts = 1;
    if (items < 4 * threads) {
        parts = (a->inner + least - 1) / least;
        if (parts > threads)
            parts = threads;
    }
    const int64_t group = parts * kind->channels;
    const int64_t step = (a->inner + group - 1) / group * kind->channels;
    const int64_t row_parts = (threads + parts - 1) / parts;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t task = 0; task < row_parts * parts; task++) {
        const int64_t part = task % parts, row_part = task / parts;
        const struct pooling_share share = {
            .first = items * row_part / row_parts,
            .last = items * (row_part + 1) / row_parts,
            .begin = (int)(part * step),
            .end = (int)((part + 1) * step < a->inner ? (part + 1) * step : a->inner),
        };
        if (share.begin < share.end && share.first < share.last)
            function(a, &share, input, output);
    }
    return 0;
}
