/* Activation of the planes of detection layers. */
#include "kernels.h"
#include "logistic.h"

enum { BLOCK = 64, WORTH_A_TEAM = 8192 };

YOLO_CLONES
static void logistic_run(const float *input, float *output, int64_t count, float scale, float shift)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = yolo_logistic(input[i]) * scale + shift;
}

YOLO_CLONES
static void linear_run(const float *input, float *output, int64_t count, float scale, float shift)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = input[i] * scale + shift;
}

/* Softmax over `classes` planes that lie `area` apart, for up to BLOCK neighbouring pixels. */
YOLO_CLONES
static void softmax_block(const float *input, float *output, int64_t classes, int64_t area,
    int64_t count, float factor)
{
    float largest[BLOCK], sum[BLOCK];
    for (int64_t i = 0; i < count; i++) {
        largest[i] = input[i];
        sum[i] = 0.0f;
    }
    for (int64_t c = 1; c < classes; c++)
        for (int64_t i = 0; i < count; i++) {
            float value = input[c * area + i];
            largest[i] = value > largest[i] ? value : largest[i];
        }
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < count; i++) {
            float value = yolo_exp((input[c * area + i] - largest[i]) * factor);
            output[c * area + i] = value;
            sum[i] += value;
        }
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < count; i++)
            output[c * area + i] /= sum[i];
}

int yolo_activate_planes(const void *arguments, const plugrt_call *call)
{
    const yolo_activation_arguments *a = arguments;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);
    const int64_t used = a->runs ? a->ends[a->runs - 1] : 0;
    const int64_t tasks = a->blocks * used;
    const int team = tasks * a->area < WORTH_A_TEAM ? 1 : call->thread_count;

#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t plane = task % used;
        int64_t start = (task / used * a->planes + plane) * a->area;
        int run = 0;
        while (plane >= a->ends[run])
            run++;
        int scaled = a->rules[run] & YOLO_SCALE;
        float scale = scaled ? a->scale : 1.0f;
        float shift = scaled ? a->shift : 0.0f;
        if (a->rules[run] & YOLO_LOGISTIC)
            logistic_run(input + start, output + start, a->area, scale, shift);
        else if (input != output || scale != 1.0f || shift != 0.0f)
            linear_run(input + start, output + start, a->area, scale, shift);
    }
    return 0;
}

int yolo_softmax_planes(const void *arguments, const plugrt_call *call)
{
    const yolo_softmax_arguments *a = arguments;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);
    const int32_t *ends = plugrt_address(call, a->ends);
    const int64_t pieces = (a->area + BLOCK - 1) / BLOCK;
    const int64_t tasks = a->blocks * pieces;
    const int team = tasks * a->planes * BLOCK < WORTH_A_TEAM ? 1 : call->thread_count;

#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t pixel = task % pieces * BLOCK;
        int64_t left = a->area - pixel;
        int64_t count = left < BLOCK ? left : BLOCK;
        int64_t start = (task / pieces * a->planes + a->first) * a->area + pixel;
        for (int64_t group = 0, plane = 0; group < a->groups; plane = ends[group++]) {
            int64_t place = start + plane * a->area;
            softmax_block(input + place, output + place, ends[group] - plane, a->area, count,
                a->factor);
        }
    }
    return 0;
}
