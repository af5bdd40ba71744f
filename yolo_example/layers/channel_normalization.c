/* The channels of every pixel divided by a sum over them. */
#include <math.h>

#include "clones.h"
#include "kernels.h"
#include "logistic.h"

enum { BLOCK = 64, WORTH_A_TEAM = 8192 };

static const float EPSILON = 1e-4f;

/* The channels lie `area` apart; `count` neighbouring pixels, at most BLOCK.  A pixel's channels
 * are read before they are written, so that the output may be the input. */
YOLO_CLONES
static void normalize_block(const float *input, float *output, int64_t channels, int64_t area,
    int64_t count, int kind)
{
    float shift[BLOCK], sum[BLOCK];
    for (int64_t i = 0; i < count; i++) {
        shift[i] = kind == YOLO_CHANNELS_SHIFTED_SOFTMAX ? input[i] : 0.0f;
        sum[i] = kind == YOLO_CHANNELS_EUCLIDEAN ? 0.0f : EPSILON;
    }
    if (kind == YOLO_CHANNELS_SHIFTED_SOFTMAX)
        for (int64_t c = 1; c < channels; c++)
            for (int64_t i = 0; i < count; i++) {
                float value = input[c * area + i];
                shift[i] = value > shift[i] ? value : shift[i];
            }
    for (int64_t c = 0; c < channels; c++) {
        const float *from = input + c * area;
        float *to = output + c * area;
        if (kind == YOLO_CHANNELS_EUCLIDEAN)
            for (int64_t i = 0; i < count; i++) {
                sum[i] += from[i] * from[i];
                to[i] = from[i];
            }
        else if (kind == YOLO_CHANNELS_POSITIVE)
            for (int64_t i = 0; i < count; i++) {
                float value = from[i] < 0.0f ? 0.0f : from[i]; /* NaN passes */
                sum[i] += value;
                to[i] = value;
            }
        else
            for (int64_t i = 0; i < count; i++) {
                float value = yolo_exp(from[i] - shift[i]);
                sum[i] += value;
                to[i] = value;
            }
    }
    if (kind == YOLO_CHANNELS_EUCLIDEAN)
        for (int64_t i = 0; i < count; i++)
            sum[i] = sum[i] == 0.0f ? 1.0f : sqrtf(sum[i]);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < count; i++)
            output[c * area + i] /= sum[i];
}

int yolo_normalize_channels(const void *arguments, const plugrt_call *call)
{
    const yolo_channel_arguments *a = arguments;
    const float *input = plugrt_address(call, a->input);
    float *output = plugrt_address(call, a->output);
    const int64_t blocks = (a->area + BLOCK - 1) / BLOCK;
    const int64_t size = a->channels * a->area;
    const int team = a->images * size < WORTH_A_TEAM ? 1 : call->thread_count;

#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t task = 0; task < a->images * blocks; task++) {
        int64_t pixel = task % blocks * BLOCK;
        int64_t left = a->area - pixel;
        int64_t start = task / blocks * size + pixel;
        normalize_block(input + start, output + start, a->channels, a->area,
            left < BLOCK ? left : BLOCK, a->kind);
    }
    return 0;
}
