/* Direct convolution: the parallel loop over rows. */
#include "direct.h"

LAYER_KERNEL(plugrt_convolution_direct)
{
    const struct direct_arguments *a = args;
    direct_row_function *compute_row
        = a->block == 8 ? BEST_OF(plugrt_direct_row_8) : BEST_OF(plugrt_direct_row_16);
    const float *input = plugrt_address(call, a->input);
    const float *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    float *output = plugrt_address(call, a->output);
    const int64_t blocks = (a->outputs + a->block - 1) / a->block;
    const int64_t per_block
        = (int64_t)a->kernel[0] * a->kernel[1] * a->kernel[2] * a->channels * a->block;
    const int64_t depths = a->output_size[0], heights = a->output_size[1];
    const int64_t rows = depths * heights;
    const int64_t tasks = a->batch * a->groups * blocks * rows;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < tasks; task++) {
        /* Blocks come first: together they fill the cache lines of a channels-last row. */
        const int64_t block = task % blocks, at = task / blocks % rows;
        const int64_t group = task / blocks / rows % a->groups;
        const int64_t image = task / blocks / rows / a->groups;
        const int64_t channel = group * a->outputs + block * a->block;
        const int64_t left = a->outputs - block * a->block;
        const int64_t depth = at / heights, height = at % heights;
        const struct direct_row row = {
            .input = input + image * a->input_stride[0]
                + group * a->channels * a->input_stride[1],
            .weights = weights + (group * blocks + block) * per_block,
            .bias = bias == NULL ? NULL : bias + channel,
            .output = output + image * a->output_stride[0] + channel * a->output_stride[1]
                + depth * a->output_stride[2] + height * a->output_stride[3],
            .depth = (int)depth,
            .height = (int)height,
            .channels = (int)(left < a->block ? left : a->block),
        };
        compute_row(a, &row);
    }
    return 0;
}
