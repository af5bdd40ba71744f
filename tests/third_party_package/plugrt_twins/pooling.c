/* The parallel loop over the rows of a pooling. */
#include "pooling.h"

enum { WORTH_A_TASK = 64 }; /* channels */

static int run(const struct pooling *a, const plugrt_call *call, int64_t bytes, run_row *run_one)
{
    const char *input = plugrt_address(call, a->input);
    char *output = plugrt_address(call, a->output);
    const int64_t depths = a->output_size[0], heights = a->output_size[1];
    const int64_t rows = (int64_t)a->volumes[0] * a->volumes[1] * depths * heights;
    int64_t parts = 1;
    if (rows < 2 * call->thread_count) {
        parts = (a->point + WORTH_A_TASK - 1) / WORTH_A_TASK;
        if (parts > call->thread_count)
            parts = call->thread_count;
    }
    const int64_t width = ((a->point + parts - 1) / parts + 15) / 16 * 16;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < rows * parts; task++) {
        const int64_t begin = task % parts * width;
        if (begin >= a->point)
            continue;
        const int64_t index = task / parts, volume = index / heights / depths;
        const int64_t image = volume / a->volumes[1], part = volume % a->volumes[1];
        const struct row row = {
            .depth = (int)(index / heights % depths),
            .height = (int)(index % heights),
            .begin = (int)begin,
            .end = (int)(begin + width < a->point ? begin + width : a->point),
        };
        const int64_t from = image * a->input_stride[0] + part * a->input_stride[1];
        const int64_t to = image * a->output_stride[0] + part * a->output_stride[1]
            + row.depth * a->output_stride[2] + row.height * a->output_stride[3];
        run_one(a, &row, input + from * bytes, output + to * bytes);
    }
    return 0;
}

TWIN_KERNEL(twins_max_pooling_float32)
{
    return run(args, call, sizeof(float), BEST(twins_largest_float32));
}

TWIN_KERNEL(twins_max_pooling_int8)
{
    return run(args, call, sizeof(int8_t), BEST(twins_largest_int8));
}

TWIN_KERNEL(twins_max_pooling_uint8)
{
    return run(args, call, sizeof(uint8_t), BEST(twins_largest_uint8));
}

TWIN_KERNEL(twins_average_pooling_float32)
{
    return run(args, call, sizeof(float), BEST(twins_mean_float32));
}

TWIN_KERNEL(twins_average_pooling_int8)
{
    return run(args, call, sizeof(int8_t), BEST(twins_mean_int8));
}

TWIN_KERNEL(twins_average_pooling_uint8)
{
    return run(args, call, sizeof(uint8_t), BEST(twins_mean_uint8));
}
