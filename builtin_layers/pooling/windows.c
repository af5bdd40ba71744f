/* The parallel loop over the rows of a pooling. */
#include "windows.h"

enum { CHANNELS_AT_LEAST = 64 }; /* worth a task of their own */

int plugrt_run_pooling(
    const struct pooling_arguments *a, const plugrt_call *call, size_t element_size,
    pooling_row_function *function)
{
    const char *input = plugrt_address(call, a->input);
    char *output = plugrt_address(call, a->output);
    const int64_t depths = a->output_size[0], heights = a->output_size[1];
    const int64_t rows = (int64_t)a->outer[0] * a->outer[1] * depths * heights;
    int64_t parts = 1;
    if (rows < 2 * call->thread_count) {
        parts = (a->inner + CHANNELS_AT_LEAST - 1) / CHANNELS_AT_LEAST;
        if (parts > call->thread_count)
            parts = call->thread_count;
    }
    /* Parts begin at multiples of 16 elements, so that no vector is cut. */
    const int64_t step = ((a->inner + parts - 1) / parts + 15) / 16 * 16;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < rows * parts; task++) {
        int64_t rest = task / parts;
        struct pooling_row row;
        row.begin = (int)(task % parts * step);
        row.end = (int)(row.begin + step < a->inner ? row.begin + step : a->inner);
        if (row.begin >= row.end)
            continue;
        row.height = (int)(rest % heights);
        rest /= heights;
        row.depth = (int)(rest % depths);
        rest /= depths;
        row.outer[1] = (int)(rest % a->outer[1]);
        row.outer[0] = (int)(rest / a->outer[1]);
        int64_t from = row.outer[0] * a->input_stride[0] + row.outer[1] * a->input_stride[1];
        int64_t to = row.outer[0] * a->output_stride[0] + row.outer[1] * a->output_stride[1]
            + row.depth * a->output_stride[2] + row.height * a->output_stride[3];
        function(a, &row, input + from * (int64_t)element_size,
            output + to * (int64_t)element_size);
    }
    return 0;
}
