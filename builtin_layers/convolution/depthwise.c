/* Depthwise convolution: how the work is shared out. */
#include "depthwise.h"


LAYER_KERNEL(plugrt_convolution_depthwise)
{
    const struct depthwise_arguments *a = args;
    depthwise_row_function *compute = a->narrow ? BEST_WITH_BF16(plugrt_depthwise_bfloat16)
                                                : BEST_OF(plugrt_depthwise_float32);
#if defined(__x86_64__)
    if (a->pairs)
        compute = plugrt_depthwise_pairs_avx512_bf16;
#endif
    const int64_t bytes = a->narrow ? sizeof(uint16_t) : sizeof(float);
    const char *input = plugrt_address(call, a->input);
    const char *weights = plugrt_address(call, a->weights);
    const int64_t weight_bytes = a->pairs ? 2 * sizeof(uint16_t) : sizeof(float);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    char *output = plugrt_address(call, a->output);
    const struct epilogue_tensors tensors = plugrt_epilogue_tensors(&a->epilogue, call);
    const int64_t blocks = (a->channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
    const int64_t parts = (blocks + a->blocks_per_task - 1) / a->blocks_per_task;
    const int64_t rows = a->output_size[0];
    int status = 0;

    /* Rows of a part follow each other: they share inputs and weights. */
#pragma omp parallel for schedule(static) num_threads(call->thread_count) reduction(| : status)
    for (int64_t task = 0; task < a->batch * parts * rows; task++) {
        const int64_t row = task % rows, part = task / rows % parts, image = task / rows / parts;
        const int64_t block = part * a->blocks_per_task, channel = block * CHANNEL_BLOCK;
        const int64_t left = a->channels - channel;
        const int64_t most = (int64_t)a->blocks_per_task * CHANNEL_BLOCK;
        const struct depthwise_row work = {
            .input = input + (image * a->input_stride[0] + block * a->input_stride[1]) * bytes,
            .weights = weights + channel * weight_bytes,
            .bias = bias == NULL ? NULL : bias + channel,
            .output = output
                + (image * a->output_stride[0] + block * a->output_stride[1]
                      + row * a->output_stride[2])
                    * bytes,
            .row = (int)row,
            .channels = (int)(left < most ? left : most),
        };
        compute(a, &work);
        const struct epilogue_region region = {
            .image = image, .row = (int)row, .rows = 1, .columns = a->output_size[1],
            .channel = (int)channel, .channels = work.channels,
        };
        status |= plugrt_run_epilogue(&a->epilogue, &tensors, output, a->output_stride, &region);
    }
    return status;
}
