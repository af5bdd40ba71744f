/* Multiplication of stored 8-bit values by a number, from one scale to another. */
#include "twin_kernel.h"

#include <math.h>

struct scaling {
    plugrt_ref input, output;
    int64_t count;
    float factor; /* number * input scale / output scale */
    int32_t input_zero, output_zero;
};

enum { TASK = 16384 }; /* elements */

static inline float limited(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

#define DEFINE_RUN(name, type, low, high)                                                    \
    TWIN_CLONES static void name(                                                            \
        const struct scaling *a, const type *input, type *output, int64_t count)             \
    {                                                                                        \
        const float zero_in = (float)a->input_zero, zero_out = (float)a->output_zero;        \
        for (int64_t i = 0; i < count; i++) {                                                \
            float value = rintf(((float)input[i] - zero_in) * a->factor) + zero_out;         \
            output[i] = (type)(int)limited(value, low, high);                                \
        }                                                                                    \
    }

DEFINE_RUN(run_int8, int8_t, -128.0f, 127.0f)
DEFINE_RUN(run_uint8, uint8_t, 0.0f, 255.0f)

TWIN_CLONES static void run_float32(
    const struct scaling *a, const float *input, float *output, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = input[i] * a->factor;
}

#define RUN_IN_TASKS(type, run)                                                              \
    const struct scaling *a = args;                                                          \
    const type *input = plugrt_address(call, a->input);                                      \
    type *output = plugrt_address(call, a->output);                                          \
    _Pragma("omp parallel for schedule(static) num_threads(call->thread_count)")             \
    for (int64_t at = 0; at < a->count; at += TASK)                                          \
        run(a, input + at, output + at, a->count - at < TASK ? a->count - at : TASK);        \
    return 0;

TWIN_KERNEL(twins_scale_int8)
{
    RUN_IN_TASKS(int8_t, run_int8)
}

TWIN_KERNEL(twins_scale_uint8)
{
    RUN_IN_TASKS(uint8_t, run_uint8)
}

TWIN_KERNEL(twins_scale_float32)
{
    RUN_IN_TASKS(float, run_float32)
}
