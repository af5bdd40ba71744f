/* Quantising shared out among threads. */
#include "quantize.h"

enum { LINE = 64, WORTH_A_THREAD = 16384 }; /* elements */

static int run(const struct quantize_arguments *a, const plugrt_call *call, quantize_function *quantize)
{
    const float *input = plugrt_address(call, a->input);
    char *output = plugrt_address(call, a->output);
    const int64_t most = (a->count + WORTH_A_THREAD - 1) / WORTH_A_THREAD;
    const int tasks = most < call->thread_count ? (int)most : call->thread_count;
    const int64_t lines = (a->count + LINE - 1) / LINE;

#pragma omp parallel for schedule(static) num_threads(tasks) if (tasks > 1)
    for (int task = 0; task < tasks; task++) {
        const int64_t first = lines * task / tasks * LINE;
        const int64_t end = lines * (task + 1) / tasks * LINE;
        quantize(input + first, output + first, (end < a->count ? end : a->count) - first,
            a->scale, a->zero);
    }
    return 0;
}

LAYER_KERNEL(plugrt_quantize_int8)
{
    return run(args, call, BEST_OF(plugrt_quantized_int8_t));
}

LAYER_KERNEL(plugrt_quantize_uint8)
{
    return run(args, call, BEST_OF(plugrt_quantized_uint8_t));
}
