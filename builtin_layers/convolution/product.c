/* 1x1 convolution of channels-last tensors: how the work is shared out. */
#include "product.h"

struct product_arguments {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
    int32_t narrow, pairs, narrows; /* see struct product */
    int32_t points, inputs, outputs;
    int32_t points_per_task;
    int32_t shares_outputs; /* threads share out the panels of weights, else the points */
    int64_t input_pixel, output_pixel; /* in elements */
    struct block_epilogue epilogue;
};

LAYER_KERNEL(plugrt_convolution_product)
{
    const struct product_arguments *a = args;
    product_function *compute = plugrt_product_best(a->pairs);
    const int64_t bytes = a->narrow ? sizeof(uint16_t) : sizeof(float);
    const int64_t output_bytes = a->narrows ? sizeof(uint16_t) : sizeof(float);
    const char *input = plugrt_address(call, a->input);
    const char *weights = plugrt_address(call, a->weights);
    const float *bias = a->has_bias ? plugrt_address(call, a->bias) : NULL;
    char *output = plugrt_address(call, a->output);
    const struct epilogue_tensors tensors = plugrt_epilogue_tensors(&a->epilogue, call);
    const int64_t output_stride[4] = {0, CHANNEL_BLOCK, 0, a->output_pixel};
    const int64_t added_pixel = a->epilogue.stride[0][3];
    const int64_t panel_bytes
        = (int64_t)(a->pairs ? a->inputs / 2 : a->inputs) * PRODUCT_PANEL * sizeof(float);
    const int64_t cuts = (a->points + a->points_per_task - 1) / a->points_per_task;
    const int64_t panels
        = a->shares_outputs ? (a->outputs + PRODUCT_PANEL - 1) / PRODUCT_PANEL : 1;
    int status = 0;

#pragma omp parallel for schedule(static) num_threads(call->thread_count) reduction(| : status)
    for (int64_t task = 0; task < panels * cuts; task++) {
        const int64_t panel = task / cuts, point = task % cuts * a->points_per_task;
        const int64_t left = a->points - point, channel = panel * PRODUCT_PANEL;
        const int64_t channels = a->shares_outputs && a->outputs - channel > PRODUCT_PANEL
            ? PRODUCT_PANEL
            : a->outputs - channel;
        const struct product work = {
            .input = input + point * a->input_pixel * bytes,
            .weights = weights + panel * panel_bytes,
            .bias = bias == NULL ? NULL : bias + channel,
            .output = output + (point * a->output_pixel + channel) * output_bytes,
            .added = a->epilogue.adds_operand
                ? tensors.operand[0] + (point * added_pixel + channel) * output_bytes
                : NULL,
            .input_pixel = a->input_pixel * bytes,
            .output_pixel = a->output_pixel * output_bytes,
            .added_pixel = added_pixel * output_bytes,
            .narrow = a->narrow,
            .pairs = a->pairs,
            .narrows = a->narrows,
            .fetches = 1,
            .points = (int)(left < a->points_per_task ? left : a->points_per_task),
            .inputs = a->inputs,
            .outputs = (int)channels,
            .first = &a->epilogue.first,
            .second = &a->epilogue.second,
        };
        compute(&work);
        const struct epilogue_region region = {
            .rows = 1, .column = (int)point, .columns = work.points,
            .channel = (int)channel, .channels = work.outputs,
        };
        status |= plugrt_run_epilogue(&a->epilogue, &tensors, output, output_stride, &region);
    }
    return status;
}
