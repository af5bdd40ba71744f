/* Convolution of few channels: how the work is shared out. */
#include "shallow.h"

static shallow_row_function *row_function(const struct shallow_arguments *a)
{
#if defined(__x86_64__)
    const int half = a->outputs <= 8 && plugrt_has_avx512();
    if (a->pairs)
        return half ? plugrt_shallow_pairs_avx512_bf16_half : plugrt_shallow_pairs_avx512_bf16;
    if (half && a->narrow)
        return plugrt_has_avx512_bf16() ? plugrt_shallow_bfloat16_avx512_bf16_half
                                        : plugrt_shallow_bfloat16_avx512_half;
    if (half)
        return plugrt_shallow_float32_avx512_half;
#endif
    return a->narrow ? BEST_WITH_BF16(plugrt_shallow_bfloat16)
                     : BEST_OF(plugrt_shallow_float32);
}

/* Runs the epilogue's program on a row: channels of all blocks together where they lie side by
 * side. */
static int finish(const struct shallow_arguments *a, const struct epilogue_tensors *tensors,
    char *output, int64_t image, int row)
{
    const int step = a->output_stride[1] == CHANNEL_BLOCK ? a->outputs : CHANNEL_BLOCK;
    int status = 0;
    for (int channel = 0; channel < a->outputs; channel += step) {
        const struct epilogue_region region = {
            .image = image,
            .row = row,
            .rows = 1,
            .columns = a->output_size[1],
            .channel = channel,
            .channels = step,
        };
        status |= plugrt_run_epilogue(&a->epilogue, tensors, output, a->output_stride, &region);
    }
    return status;
}

LAYER_KERNEL(plugrt_convolution_shallow)
{
    const struct shallow_arguments *a = args;
    shallow_row_function *compute = row_function(a);
    const int64_t bytes = a->narrow ? sizeof(uint16_t) : sizeof(float);
    const float *input = plugrt_address(call, a->input);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    const void *weights = plugrt_address(call, a->weights);
    char *output = plugrt_address(call, a->output);
    const struct epilogue_tensors tensors = plugrt_epilogue_tensors(&a->epilogue, call);
    const int64_t rows = a->output_size[0];
    int status = 0;

#pragma omp parallel for schedule(static) num_threads(call->thread_count) reduction(| : status)
    for (int64_t task = 0; task < a->batch * rows; task++) {
        const int64_t row = task % rows, image = task / rows;
        const struct shallow_row work = {
            .input = input + image * a->input_stride[0],
            .weights = weights,
            .bias = bias,
            .output = output + (image * a->output_stride[0] + row * a->output_stride[2]) * bytes,
            .row = (int)row,
        };
        compute(a, &work);
        status |= finish(a, &tensors, output, image, (int)row);
    }
    return status;
}
