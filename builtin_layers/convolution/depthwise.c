/* Depthwise convolution of channels-last tensors in float32: the parallel loop over rows. */
#include "direct.h"

/* The arguments are those of a direct convolution with `groups` channels, one per group; the
 * weights are packed as one vector of all channels per tap. */
LAYER_KERNEL(plugrt_convolution_depthwise)
{
    const struct direct_arguments *a = args;
    direct_row_function *compute_row = a->groups < 16 ? BEST_OF(plugrt_depthwise_row_8)
                                                      : BEST_OF(plugrt_depthwise_row_16);
    const float *input = plugrt_address(call, a->input);
    const float *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    float *output = plugrt_address(call, a->output);
    const int64_t depths = a->output_size[0], heights = a->output_size[1];
    const int64_t rows = a->batch * depths * heights;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < rows; task++) {
        const int64_t height = task % heights, depth = task / heights % depths;
        const int64_t image = task / heights / depths;
        const struct direct_row row = {
            .input = input + image * a->input_stride[0],
            .weights = weights,
            .bias = bias,
            .output = output + image * a->output_stride[0] + depth * a->output_stride[2]
                + height * a->output_stride[3],
            .depth = (int)depth,
            .height = (int)height,
            .channels = a->groups,
        };
        compute_row(a, &row);
    }
    return 0;
}
