/* The parallel loop of direct convolution, and the choice of instruction set. */
#include "direct.h"

static run_line *best_line(int lanes)
{
    const int narrow = lanes == 8;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl"))
        return narrow ? twins_line_8_avx512 : twins_line_16_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return narrow ? twins_line_8_avx2 : twins_line_16_avx2;
#endif
    return narrow ? twins_line_8_baseline : twins_line_16_baseline;
}

TWIN_KERNEL(twins_direct_convolution)
{
    const struct direct *a = args;
    run_line *run = best_line(a->lanes);
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
