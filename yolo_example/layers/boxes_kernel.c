/* Boxes out of activated values, and their suppression, as kernels of a recording. */
#include <stdio.h>
#include <string.h>

#include "best_rows.h"
#include "boxes.h"
#include "boxes_kernel.h"

int yolo_decode_head(const void *arguments, const plugrt_call *call)
{
    const yolo_decode_arguments *a = arguments;
    const float *values = plugrt_address(call, a->values);
    float *rows = plugrt_address(call, a->rows);
    int64_t *found = plugrt_address(call, a->found);
    const yolo_cells cells = {
        .anchors = a->anchors,
        .planes = a->planes,
        .height = a->height,
        .width = a->width,
        .sizes = plugrt_address(call, a->sizes),
        .step = 1,
        .squared = a->squared,
        .objectness = a->objectness,
        .first_class = a->first_class,
        .classes = a->classes,
    };
    const int64_t size = a->anchors * a->planes * a->height * a->width;

#pragma omp parallel for num_threads(call->thread_count) if (a->images > 1)
    for (int64_t n = 0; n < a->images; n++)
        found[n * a->apart] = yolo_decode_cells(&cells, values + n * size, a->threshold, NULL,
            rows + n * a->apart * a->room * ROW_VALUES, a->room);
    return 0;
}

/* All lists of an image as one, in their order unless some rows had to go. */
static int64_t merge(const float *lists, const int64_t *found, int64_t heads, int64_t capacity,
    float *merged)
{
    best_rows best = { merged, capacity + 1, 0, -1.0f };
    for (int64_t h = 0; h < heads; h++)
        for (int64_t k = 0; k < found[h]; k++) {
            const float *row = lists + (h * (capacity + 1) + k) * ROW_VALUES;
            best_rows_add(&best, row, row[ROW_SCORE], (int64_t)row[ROW_CLASS]);
        }
    if (best.count <= capacity)
        return best.count;
    /* The heap's top is the row too many. */
    memmove(merged, merged + ROW_VALUES, (size_t)capacity * ROW_VALUES * sizeof *merged);
    return capacity;
}

int yolo_keep_boxes(const void *arguments, const plugrt_call *call)
{
    const yolo_keep_arguments *a = arguments;
    const float *rows = plugrt_address(call, a->rows);
    const int64_t *found = plugrt_address(call, a->found);
    float *scratch = plugrt_address(call, a->merged);
    float *kept = plugrt_address(call, a->kept);
    int64_t *counts = plugrt_address(call, a->counts);
    const int64_t room = (a->capacity + 1) * ROW_VALUES;
    int64_t failed = 0;

#pragma omp parallel for num_threads(call->thread_count) if (a->images > 1) reduction(+ : failed)
    for (int64_t n = 0; n < a->images; n++) {
        float *merged = scratch + n * 2 * room, *chosen = merged + room;
        float *output = kept + n * a->limit * ROW_VALUES;
        const int64_t count = merge(
            rows + n * a->heads * room, found + n * a->heads, a->heads, a->capacity, merged);
        int64_t stay = yolo_suppress(merged, count, a->threshold, a->power, chosen);
        failed += stay < 0;
        stay = stay < 0 ? 0 : stay < a->limit ? stay : a->limit;
        memcpy(output, chosen, (size_t)stay * ROW_VALUES * sizeof *output);
        memset(output + stay * ROW_VALUES, 0,
            (size_t)(a->limit - stay) * ROW_VALUES * sizeof *output);
        counts[n] = stay;
    }
    if (failed)
        snprintf(call->message, call->message_capacity,
            "there is no memory to compare %lld boxes", (long long)a->capacity);
    return failed != 0;
}
