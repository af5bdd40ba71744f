/* The suppression of boxes found twice. */
#include <math.h>
#include <stdlib.h>

#include "best_rows.h"
#include "boxes.h"
#include "clones.h"

enum { BLOCK = 64 };

typedef struct ranked_row {
    uint64_t rank;
    int64_t index;
} ranked_row;

/* Kept boxes of one class, each quantity a vector of its own. */
typedef struct kept_boxes {
    float *left, *right, *top, *bottom, *size;
    int64_t *index;
} kept_boxes;

/* The number's place in the order of all numbers. */
static uint32_t ordinal(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static int compare_ranks(const void *a, const void *b)
{
    const ranked_row *first = a, *second = b;
    if (first->rank != second->rank)
        return first->rank < second->rank ? -1 : 1;
    return (first->index > second->index) - (first->index < second->index);
}

/* One box: what kept_boxes has of many. */
typedef struct bounds {
    float left, right, top, bottom, size;
} bounds;

static bounds bounds_of(const float *row)
{
    return (bounds){
        row[0] - row[2] / 2, row[0] + row[2] / 2,
        row[1] - row[3] / 2, row[1] + row[3] / 2,
        row[2] * row[3],
    };
}

/* Intersection over union of a box with the kept boxes [start, start + count). */
YOLO_CLONES
static void overlaps_with(
    bounds box, const kept_boxes *kept, int64_t start, int64_t count, float *overlaps)
{
    const float left = box.left, right = box.right, top = box.top, bottom = box.bottom;
    const float *lefts = kept->left + start, *rights = kept->right + start;
    const float *tops = kept->top + start, *bottoms = kept->bottom + start;
    const float *sizes = kept->size + start;
    for (int64_t k = 0; k < count; k++) {
        float w = (rights[k] < right ? rights[k] : right) - (lefts[k] > left ? lefts[k] : left);
        float h = (bottoms[k] < bottom ? bottoms[k] : bottom) - (tops[k] > top ? tops[k] : top);
        float shared = w > 0 && h > 0 ? w * h : 0.0f;
        overlaps[k] = shared > 0 ? shared / (box.size + sizes[k] - shared) : 0.0f;
    }
}

/* Zhao et al., Distance-IoU Loss (arXiv:1911.08287), with a power. */
static float distance_penalty(const float *a, const float *b, double power)
{
    float w = fmaxf(a[0] + a[2] / 2, b[0] + b[2] / 2) - fminf(a[0] - a[2] / 2, b[0] - b[2] / 2);
    float h = fmaxf(a[1] + a[3] / 2, b[1] + b[3] / 2) - fminf(a[1] - a[3] / 2, b[1] - b[3] / 2);
    float diagonal = w * w + h * h;
    float distance = (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
    return diagonal > 0 ? (float)pow(distance / diagonal, power) : 0.0f;
}

static int is_covered(const float *rows, const float *row, const kept_boxes *kept,
    int64_t count, float threshold, double power)
{
    const bounds box = bounds_of(row);
    float overlaps[BLOCK];
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t here = count - start < BLOCK ? count - start : BLOCK;
        overlaps_with(box, kept, start, here, overlaps);
        for (int64_t k = 0; k < here; k++) {
            if (!(overlaps[k] > threshold))
                continue;
            if (!(power > 0))
                return 1;
            const float *other = rows + kept->index[start + k] * ROW_VALUES;
            float penalty = distance_penalty(row, other, power);
            if (overlaps[k] - penalty > threshold)
                return 1;
        }
    }
    return 0;
}

/* Moves the indices of the rows that stay to the front of `ranked`, which is sorted by class
 * and then score.  Returns their number. */
static int64_t select_rows(const float *rows, ranked_row *ranked, int64_t count,
    const kept_boxes *kept, float threshold, double power)
{
    int64_t all = 0, of_class = 0;
    float label = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        const int64_t index = ranked[i].index;
        const float *row = rows + index * ROW_VALUES;
        if (row[ROW_CLASS] != label)
            of_class = 0;
        label = row[ROW_CLASS];
        if (is_covered(rows, row, kept, of_class, threshold, power))
            continue;
        bounds box = bounds_of(row);
        kept->left[of_class] = box.left;
        kept->right[of_class] = box.right;
        kept->top[of_class] = box.top;
        kept->bottom[of_class] = box.bottom;
        kept->size[of_class] = box.size;
        kept->index[of_class++] = index;
        ranked[all++].index = index;
    }
    return all;
}

int64_t yolo_suppress(
    const float *rows, int64_t count, float threshold, double power, float *kept)
{
    if (count < 1)
        return 0;
    ranked_row *ranked = malloc((size_t)count * sizeof *ranked);
    int64_t *indices = malloc((size_t)count * sizeof *indices);
    float *all = malloc((size_t)count * 5 * sizeof *all);
    int64_t found = -1;
    if (ranked && indices && all) {
        kept_boxes boxes = {
            all, all + count, all + 2 * count, all + 3 * count, all + 4 * count, indices};
        for (int64_t i = 0; i < count; i++) {
            const float *row = rows + i * ROW_VALUES;
            ranked[i].rank = (uint64_t)ordinal(row[ROW_CLASS]) << 32 | ~ordinal(row[ROW_SCORE]);
            ranked[i].index = i;
        }
        qsort(ranked, (size_t)count, sizeof *ranked, compare_ranks);
        found = select_rows(rows, ranked, count, &boxes, threshold, power);
        for (int64_t i = 0; i < found; i++) {
            const float *row = rows + ranked[i].index * ROW_VALUES;
            ranked[i].rank = (uint64_t)~ordinal(row[ROW_SCORE]) << 32 | ordinal(row[ROW_CLASS]);
        }
        qsort(ranked, (size_t)found, sizeof *ranked, compare_ranks);
        for (int64_t i = 0; i < found; i++)
            memcpy(kept + i * ROW_VALUES, rows + ranked[i].index * ROW_VALUES,
                ROW_VALUES * sizeof *kept);
    }
    free(ranked);
    free(indices);
    free(all);
    return found;
}
