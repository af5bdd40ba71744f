/* Activation of the planes of a YOLO layer: [images, anchors * (5 + classes), height * width]. */
#include "twin_kernel.h"

#include <string.h>

struct yolo {
    plugrt_ref input, output; /* may be one buffer */
    int64_t anchors;          /* of all images together */
    int64_t planes;           /* of an anchor: x, y, width, height, objectness, classes */
    int64_t area;
    float scale, shift; /* of x and y, after their activation */
    int32_t activate;
};

/* e^x for |x| <= 87, beyond that at the bound: x = n ln 2 + r by two-part ln 2 (Cody and Waite),
 * e^r by its Taylor series to r^7, 2^n through the exponent bits.  Inlined in any case: a call
 * would leave the instruction set of the caller's clone. */
static inline __attribute__((always_inline)) float exponential(float x)
{
    const float to_integer = 12582912.0f; /* 1.5 * 2^23 */
    x = x < -87.0f ? -87.0f : x; /* NaN stays */
    x = x > 87.0f ? 87.0f : x;
    const float shifted = x * 1.44269504f + to_integer;
    const float n = shifted - to_integer;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float series = 1.0f / 5040.0f * r + 1.0f / 720.0f;
    series = series * r + 1.0f / 120.0f;
    series = series * r + 1.0f / 24.0f;
    series = series * r + 1.0f / 6.0f;
    series = series * r + 0.5f;
    series = series * r + 1.0f;
    series = series * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return series * power;
}

TWIN_CLONES static void logistic(
    const float *input, float *output, int64_t count, float scale, float shift)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = 1.0f / (1.0f + exponential(-input[i])) * scale + shift;
}

TWIN_CLONES static void linear(
    const float *input, float *output, int64_t count, float scale, float shift)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = input[i] * scale + shift;
}

TWIN_KERNEL(twins_yolo)
{
    const struct yolo *a = args;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t plane = 0; plane < a->anchors * a->planes; plane++) {
        const int64_t which = plane % a->planes;
        const int is_centre = which < 2, is_size = which == 2 || which == 3;
        const float scale = is_centre ? a->scale : 1.0f;
        const float shift = is_centre ? a->shift : 0.0f;
        const float *from = input + plane * a->area;
        float *to = output + plane * a->area;
        if (a->activate && !is_size)
            logistic(from, to, a->area, scale, shift);
        else if (from != to || scale != 1.0f)
            linear(from, to, a->area, scale, shift);
    }
    return 0;
}
