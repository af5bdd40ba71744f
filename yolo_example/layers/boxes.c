/* Boxes out of activated values. */
#include <math.h>
#include <stddef.h>

#include "best_rows.h"
#include "boxes.h"

static int is_box(const float *box)
{
    return isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) && isfinite(box[3]);
}

/* What uncertainty leaves of the score of the box whose first plane is `v`. */
static float certainty(const yolo_cells *cells, const float *v)
{
    const int64_t area = cells->height * cells->width;
    if (!cells->uncertain)
        return 1.0f;
    float sum = 0.0f;
    for (int64_t k = 0; k < ROW_COORDINATES; k++)
        sum += v[(k * cells->step + 1) * area];
    return 1.0f - sum / ROW_COORDINATES;
}

static void place_box(
    const yolo_cells *cells, const float *v, int64_t anchor, int64_t cell, float *box)
{
    const int64_t apart = cells->step * cells->height * cells->width;
    const float *size = cells->sizes + 2 * anchor;
    const float w = v[2 * apart], h = v[3 * apart];
    box[2] = (cells->squared ? 4.0f * w * w : expf(w)) * size[0];
    box[3] = (cells->squared ? 4.0f * h * h : expf(h)) * size[1];
    box[0] = ((float)(cell % cells->width) + v[0]) / (float)cells->width;
    box[1] = ((float)(cell / cells->width) + v[apart]) / (float)cells->height;
    box[0] += cells->corner * box[2];
    box[1] += cells->corner * box[3];
}

/* The class to which the way down the tree leads, always to the likeliest child.  As in
 * Darknet, what must exceed the limit is the product of the probabilities passed, each of
 * which already contains its parents'. */
static int64_t most_specific(const yolo_tree *tree, const float *classes, int64_t apart)
{
    float product = 1.0f, parent = 1.0f;
    int64_t group = 0, chosen = 0;
    for (;;) {
        int64_t likeliest = 0;
        float largest = 0.0f;
        for (int64_t c = group ? tree->ends[group - 1] : 0; c < tree->ends[group]; c++) {
            float value = classes[c * apart] * parent;
            if (value > largest) {
                largest = value;
                likeliest = c;
            }
        }
        if (!(product * largest > tree->least))
            return group ? chosen : likeliest;
        product *= largest;
        parent = largest;
        chosen = likeliest;
        group = tree->children[chosen];
        if (group < 0)
            return chosen;
    }
}

static void add_mapped(best_rows *best, const yolo_cells *cells, const float *box,
    float objectness, const float *classes, int64_t apart, float *absolute)
{
    const yolo_tree *tree = cells->tree;
    for (int64_t c = 0; c < cells->classes; c++) {
        int32_t parent = tree->parents[c];
        absolute[c] = classes[c * apart] * (parent < 0 ? 1.0f : absolute[parent]);
    }
    for (int64_t k = 0; k < tree->mapped; k++)
        best_rows_add(best, box, objectness * absolute[tree->map[k]], k);
}

int64_t yolo_decode_cells(const yolo_cells *cells, const float *values, float threshold,
    float *scratch, float *rows, int64_t capacity)
{
    const int64_t area = cells->height * cells->width;
    best_rows best = {rows, capacity, 0, threshold};
    for (int64_t cell = 0; cell < area; cell++)
        for (int64_t n = 0; n < cells->anchors; n++) {
            const float *v = values + n * cells->planes * area + cell;
            float objectness = cells->objectness < 0 ? 1.0f : v[cells->objectness * area];
            if (!(objectness > threshold))
                continue;
            float box[ROW_COORDINATES];
            place_box(cells, v, n, cell, box);
            if (!is_box(box))
                continue;
            const float *classes = v + cells->first_class * area;
            if (cells->tree && cells->tree->map) {
                add_mapped(&best, cells, box, objectness, classes, area, scratch);
            } else if (cells->tree) {
                best_rows_add(&best, box, objectness, most_specific(cells->tree, classes, area));
            } else {
                float scale = certainty(cells, v);
                for (int64_t c = 0; c < cells->classes; c++)
                    best_rows_add(&best, box, objectness * classes[c * area] * scale, c);
            }
        }
    return best.count;
}

int64_t yolo_decode_grid(const float *values, int64_t side, int64_t boxes, int64_t classes,
    int squared, float threshold, float *rows, int64_t capacity)
{
    const int64_t cells = side * side;
    const float *scales = values + cells * classes;
    const float *places = scales + cells * boxes;
    best_rows best = {rows, capacity, 0, threshold};
    for (int64_t cell = 0; cell < cells; cell++)
        for (int64_t n = 0; n < boxes; n++) {
            const float *v = places + (cell * boxes + n) * ROW_COORDINATES;
            float box[ROW_COORDINATES] = {
                ((float)(cell % side) + v[0]) / (float)side,
                ((float)(cell / side) + v[1]) / (float)side,
                squared ? v[2] * v[2] : v[2],
                squared ? v[3] * v[3] : v[3],
            };
            if (!is_box(box) || box[2] < 0 || box[3] < 0)
                continue;
            for (int64_t c = 0; c < classes; c++)
                best_rows_add(
                    &best, box, scales[cell * boxes + n] * values[cell * classes + c], c);
        }
    return best.count;
}

static double share(double value)
{
    return value < 0.0 ? 0.0 : value > 1.0 ? 1.0 : value;
}

void yolo_find_corners(const float *rows, int64_t count, const yolo_placement *picture,
    double across, double down, double *corners)
{
    for (int64_t i = 0; i < count; i++, rows += ROW_VALUES, corners += ROW_COORDINATES) {
        const double x = ((double)rows[0] - picture->left) / picture->width;
        const double y = ((double)rows[1] - picture->top) / picture->height;
        const double half_width = (double)rows[2] / picture->width / 2;
        const double half_height = (double)rows[3] / picture->height / 2;
        corners[0] = share(x - half_width) * across;
        corners[1] = share(y - half_height) * down;
        corners[2] = share(x + half_width) * across;
        corners[3] = share(y + half_height) * down;
    }
}
