/* Boxes out of activated values, and the suppression of those found twice. */
#include <math.h>

#include "kernels.h"

enum { COORDINATES = 4, BOX_VALUES = 6 };

int64_t yolo_decode(const float *values, int64_t anchors, int64_t classes, int64_t height,
    int64_t width, const float *sizes, int squared, float threshold, float *boxes,
    int64_t capacity)
{
    const int64_t area = height * width;
    int64_t found = 0;
    for (int64_t cell = 0; cell < area; cell++)
        for (int64_t n = 0; n < anchors; n++) {
            const float *v = values + n * (COORDINATES + 1 + classes) * area + cell;
            float objectness = v[COORDINATES * area];
            if (!(objectness > threshold))
                continue;
            float w = v[2 * area], h = v[3 * area];
            float box[COORDINATES] = {
                ((float)(cell % width) + v[0]) / (float)width,
                ((float)(cell / width) + v[area]) / (float)height,
                (squared ? 4.0f * w * w : expf(w)) * sizes[2 * n],
                (squared ? 4.0f * h * h : expf(h)) * sizes[2 * n + 1],
            };
            if (!isfinite(box[0]) || !isfinite(box[1]) || !isfinite(box[2]) || !isfinite(box[3]))
                continue;
            for (int64_t c = 0; c < classes; c++) {
                float score = objectness * v[(COORDINATES + 1 + c) * area];
                if (!(score > threshold))
                    continue;
                if (found < capacity) {
                    float *row = boxes + found * BOX_VALUES;
                    for (int k = 0; k < COORDINATES; k++)
                        row[k] = box[k];
                    row[COORDINATES] = score;
                    row[COORDINATES + 1] = (float)c;
                }
                found++;
            }
        }
    return found;
}

static float overlap(float x1, float w1, float x2, float w2)
{
    float left = fmaxf(x1 - w1 / 2, x2 - w2 / 2);
    float right = fminf(x1 + w1 / 2, x2 + w2 / 2);
    return right - left;
}

static float intersection_over_union(const float *a, const float *b)
{
    float w = overlap(a[0], a[2], b[0], b[2]);
    float h = overlap(a[1], a[3], b[1], b[3]);
    if (!(w > 0 && h > 0))
        return 0;
    float shared = w * h;
    return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

void yolo_suppress(const float *boxes, int64_t count, float threshold, uint8_t *keep)
{
    for (int64_t i = 0; i < count; i++) {
        keep[i] = 1;
        for (int64_t j = 0; j < i && keep[i]; j++)
            if (keep[j]
                && intersection_over_union(boxes + i * COORDINATES, boxes + j * COORDINATES)
                    > threshold)
                keep[i] = 0;
    }
}
