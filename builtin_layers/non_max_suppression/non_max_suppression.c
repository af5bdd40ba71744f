/* Greedy non-maximum suppression, per image and class. */
#include "layer_kernel.h"

#include <string.h>

struct arguments {
    plugrt_ref boxes;  /* float [images, count, 4] */
    plugrt_ref scores; /* float [images, classes, count] */
    plugrt_ref rows;   /* int64 [images * classes * limit, 3] */
    plugrt_ref found;  /* int64: used rows */
    plugrt_ref scratch; /* int64 [images * classes], then int32 [lanes, count] */
    int64_t images, classes, count;
    int64_t limit; /* most boxes per class */
    int64_t lanes;
    float iou_threshold, score_threshold;
    uint32_t center_point_box;
};

struct box {
    float low[2], high[2], area;
};

static inline struct box box_at(const float *b, int center_point)
{
    struct box box;
    for (int d = 0; d < 2; d++) {
        float first = b[d], second = b[d + 2];
        if (center_point) {
            float half = b[d + 2] / 2.0f;
            first = b[d] - half;
            second = b[d] + half;
        }
        box.low[d] = first < second ? first : second;
        box.high[d] = first < second ? second : first;
    }
    box.area = (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
    return box;
}

static inline int overlaps(const struct box *a, const struct box *b, float threshold)
{
    float side[2];
    for (int d = 0; d < 2; d++) {
        float high = a->high[d] < b->high[d] ? a->high[d] : b->high[d];
        float low = a->low[d] > b->low[d] ? a->low[d] : b->low[d];
        side[d] = high - low;
    }
    if (!(side[0] > 0.0f && side[1] > 0.0f && a->area > 0.0f && b->area > 0.0f))
        return 0; /* 0 exceeds no threshold */
    float intersection = side[0] * side[1];
    return intersection / (a->area + b->area - intersection) > threshold;
}

/* The order of selection: higher scores first, equal ones by index, so that it is total. */
static inline int precedes(const float *scores, int32_t a, int32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* Lets heap[top] sink to its place in a heap whose root precedes all others. */
static void sink(int32_t *heap, int64_t size, int64_t top, const float *scores)
{
    int32_t moving = heap[top];
    for (int64_t child; (child = 2 * top + 1) < size; top = child) {
        if (child + 1 < size && precedes(scores, heap[child + 1], heap[child]))
            child++;
        if (!precedes(scores, heap[child], moving))
            break;
        heap[top] = heap[child];
    }
    heap[top] = moving;
}

/* Writes the boxes of one class to `rows`; returns how many. */
static int64_t select_boxes(const struct arguments *a, const float *boxes, const float *scores,
    int64_t image, int64_t category, int32_t *heap, int64_t *rows)
{
    int64_t size = 0, selected = 0;
    for (int64_t i = 0; i < a->count; i++)
        if (scores[i] > a->score_threshold)
            heap[size++] = (int32_t)i;
    for (int64_t i = size / 2 - 1; i >= 0; i--)
        sink(heap, size, i, scores);
    while (size > 0 && selected < a->limit) {
        int32_t best = heap[0];
        heap[0] = heap[--size];
        sink(heap, size, 0, scores);
        struct box box = box_at(boxes + 4 * best, a->center_point_box);
        int keep = 1;
        for (int64_t k = 0; keep && k < selected; k++) {
            struct box other = box_at(boxes + 4 * rows[3 * k + 2], a->center_point_box);
            keep = !overlaps(&box, &other, a->iou_threshold);
        }
        if (keep) {
            int64_t *row = rows + 3 * selected++;
            row[0] = image;
            row[1] = category;
            row[2] = best;
        }
    }
    return selected;
}

/* Every class fills its own part of `rows`; then the parts move together. */
LAYER_KERNEL(plugrt_non_max_suppression)
{
    const struct arguments *a = args;
    const float *boxes = plugrt_address(call, a->boxes);
    const float *scores = plugrt_address(call, a->scores);
    int64_t *rows = plugrt_address(call, a->rows);
    int64_t *counts = plugrt_address(call, a->scratch);
    int64_t pairs = a->images * a->classes, total = 0;
    int32_t *heaps = (int32_t *)(counts + pairs);
#pragma omp parallel for num_threads(call->thread_count) schedule(dynamic) if (a->lanes > 1)
    for (int64_t lane = 0; lane < a->lanes; lane++)
        for (int64_t pair = lane; pair < pairs; pair += a->lanes) {
            int64_t image = pair / a->classes;
            counts[pair] = select_boxes(a, boxes + image * a->count * 4,
                scores + pair * a->count, image, pair % a->classes, heaps + lane * a->count,
                rows + 3 * pair * a->limit);
        }
    for (int64_t pair = 0; pair < pairs; pair++) {
        memmove(rows + 3 * total, rows + 3 * pair * a->limit, 24 * (size_t)counts[pair]);
        total += counts[pair];
    }
    *(int64_t *)plugrt_address(call, a->found) = total;
    return 0;
}
