/* The parallel loops of direct and of depthwise convolution. */
#include "direct.h"

TWIN_KERNEL(twins_direct_convolution)
{
    const struct direct *a = args;
    run_line *run = a->lanes == 8 ? BEST(twins_line_8) : BEST(twins_line_16);
    const float *input = plugrt_address(call, a->input);
    const float *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    float *output = plugrt_address(call, a->output);
    const int64_t blocks = (a->filters + a->lanes - 1) / a->lanes;
    const int64_t block_size
        = (int64_t)a->kernel[0] * a->kernel[1] * a->kernel[2] * a->channels * a->lanes;
    const int64_t heights = a->output_size[1], lines = a->output_size[0] * heights;
    const int64_t tasks = a->images * a->groups * blocks * lines;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < tasks; task++) {
        /* Neighbouring tasks fill the same cache lines of a channels-last output. */
        const int64_t block = task % blocks, at = task / blocks % lines;
        const int64_t group = task / blocks / lines % a->groups;
        const int64_t image = task / blocks / lines / a->groups;
        const int64_t filter = group * a->filters + block * a->lanes;
        const int64_t left = a->filters - block * a->lanes;
        const struct line line = {
            .input = input + image * a->input_stride[0]
                + group * a->channels * a->input_stride[1],
            .weights = weights + (group * blocks + block) * block_size,
            .bias = bias == NULL ? NULL : bias + filter,
            .output = output + image * a->output_stride[0] + filter * a->output_stride[1]
                + at / heights * a->output_stride[2] + at % heights * a->output_stride[3],
            .depth = (int)(at / heights),
            .height = (int)(at % heights),
            .filters = (int)(left < a->lanes ? left : a->lanes),
        };
        run(a, &line);
    }
    return 0;
}

/* Groups of one channel and one filter, channels last; the weights are [window, groups]. */
TWIN_KERNEL(twins_depthwise_convolution)
{
    const struct direct *a = args;
    run_line *run = a->groups < 16 ? BEST(twins_depthwise_8) : BEST(twins_depthwise_16);
    const float *input = plugrt_address(call, a->input);
    const float *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    float *output = plugrt_address(call, a->output);
    const int64_t heights = a->output_size[1], lines = a->output_size[0] * heights;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < a->images * lines; task++) {
        const int64_t at = task % lines, image = task / lines;
        const struct line line = {
            .input = input + image * a->input_stride[0],
            .weights = weights,
            .bias = bias,
            .output = output + image * a->output_stride[0] + at / heights * a->output_stride[2]
                + at % heights * a->output_stride[3],
            .depth = (int)(at / heights),
            .height = (int)(at % heights),
            .filters = a->groups,
        };
        run(a, &line);
    }
    return 0;
}
