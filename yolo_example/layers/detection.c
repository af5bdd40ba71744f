/* Activation of the values of [yolo] and [region] layers. */
#include "kernels.h"
#include "logistic.h"

enum { COORDINATES = 4, BLOCK = 64, WORTH_A_TEAM = 8192 };

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
static void softmax_block(
    const float *input, float *output, int64_t classes, int64_t area, int64_t count)
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
            float value = yolo_exp(input[c * area + i] - largest[i]);
            output[c * area + i] = value;
            sum[i] += value;
        }
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < count; i++)
            output[c * area + i] /= sum[i];
}

int yolo_activate_detections(const void *arguments, const plugrt_call *call)
{
    const yolo_detection_arguments *a = arguments;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);
    const int64_t planes = COORDINATES + 1 + a->classes;
    /* One task activates a plane; with softmax, what is left of a plane's tasks are blocks. */
    const int64_t simple = a->softmax ? COORDINATES + 1 : planes;
    const int64_t blocks = a->softmax ? (a->area + BLOCK - 1) / BLOCK : 0;
    const int64_t tasks = simple + blocks;
    const int team = a->anchors * planes * a->area < WORTH_A_TEAM ? 1 : call->thread_count;

#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t task = 0; task < a->anchors * tasks; task++) {
        int64_t part = task % tasks;
        int64_t anchor = task / tasks * planes * a->area;
        if (part >= simple) {
            int64_t pixel = (part - simple) * BLOCK;
            int64_t left = a->area - pixel;
            int64_t start = anchor + (COORDINATES + 1) * a->area + pixel;
            softmax_block(
                input + start, output + start, a->classes, a->area, left < BLOCK ? left : BLOCK);
            continue;
        }
        const float *from = input + anchor + part * a->area;
        float *to = output + anchor + part * a->area;
        int is_centre = part < 2, is_size = part == 2 || part == 3;
        float scale = is_centre ? a->centre_scale : 1.0f;
        float shift = is_centre ? a->centre_shift : 0.0f;
        if (a->logistic && !is_size)
            logistic_run(from, to, a->area, scale, shift);
        else if (from != to || scale != 1.0f || shift != 0.0f)
            linear_run(from, to, a->area, scale, shift);
    }
    return 0;
}
