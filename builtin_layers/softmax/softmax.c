/* Softmax, or its logarithm, along one axis of a float32 tensor.
 *
 * The tensor is outer x axis x inner, dense.  Several inner columns are worked on together, so
 * that every loop runs over neighbours in memory; with one inner column the axis itself does.
 */
#include "layer_kernel.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 64 };

struct softmax_arguments {
    plugrt_ref input, output;
    int64_t outer, axis, inner;
    int32_t logarithm;
};

/* e to the power of x, to about one unit in the last place; 0 below the range of float. */
static inline __attribute__((always_inline)) float exponential(float x)
{
    const float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    float limited = x < -87.0f ? -87.0f : x;
    float whole = rintf(limited * log2_e);
    float rest = limited - whole * ln2_high - whole * ln2_low;
    float sum = 1.98756915e-4f;
    sum = sum * rest + 1.39819995e-3f;
    sum = sum * rest + 8.33345191e-3f;
    sum = sum * rest + 4.16657950e-2f;
    sum = sum * rest + 1.66666655e-1f;
    sum = sum * rest + 5.00000012e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    int32_t bits = ((int32_t)whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x < -87.0f ? 0.0f : sum * power;
}

TARGET_CLONES static void row(const float *input, float *output, int64_t axis, int logarithm)
{
    float largest = -INFINITY;
    for (int64_t i = 0; i < axis; i++)
        largest = input[i] > largest ? input[i] : largest;
    float partial[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= axis; i += 16)
        for (int k = 0; k < 16; k++) {
            float value = exponential(input[i + k] - largest);
            output[i + k] = logarithm ? input[i + k] : value;
            partial[k] += value;
        }
    float sum = 0;
    for (; i < axis; i++) {
        float value = exponential(input[i] - largest);
        output[i] = logarithm ? input[i] : value;
        sum += value;
    }
    for (int k = 0; k < 16; k++)
        sum += partial[k];
    if (logarithm) {
        const float shift = largest + logf(sum);
        for (i = 0; i < axis; i++)
            output[i] -= shift;
    } else {
        const float factor = 1.0f / sum;
        for (i = 0; i < axis; i++)
            output[i] *= factor;
    }
}

TARGET_CLONES static void columns(const float *input, float *output, int64_t axis,
    int64_t inner, int count, int logarithm)
{
    float largest[COLUMNS], sum[COLUMNS];
    for (int k = 0; k < count; k++) {
        largest[k] = -INFINITY;
        sum[k] = 0;
    }
    for (int64_t i = 0; i < axis; i++)
        for (int k = 0; k < count; k++) {
            float x = input[i * inner + k];
            largest[k] = x > largest[k] ? x : largest[k];
        }
    for (int64_t i = 0; i < axis; i++)
        for (int k = 0; k < count; k++) {
            float x = input[i * inner + k], value = exponential(x - largest[k]);
            output[i * inner + k] = logarithm ? x : value;
            sum[k] += value;
        }
    for (int k = 0; k < count; k++)
        sum[k] = logarithm ? largest[k] + logf(sum[k]) : 1.0f / sum[k];
    for (int64_t i = 0; i < axis; i++)
        for (int k = 0; k < count; k++) {
            float value = output[i * inner + k];
            output[i * inner + k] = logarithm ? value - sum[k] : value * sum[k];
        }
}

LAYER_KERNEL(plugrt_softmax_float32)
{
    const struct softmax_arguments *a = args;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);
    const int64_t parts = (a->inner + COLUMNS - 1) / COLUMNS;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < a->outer * parts; task++) {
        const int64_t first = task % parts * COLUMNS;
        const int64_t offset = task / parts * a->axis * a->inner + first;
        const int64_t left = a->inner - first;
        if (a->inner == 1)
            row(input + offset, output + offset, a->axis, a->logarithm);
        else
            columns(input + offset, output + offset, a->axis, a->inner,
                (int)(left < COLUMNS ? left : COLUMNS), a->logarithm);
    }
    return 0;
}
