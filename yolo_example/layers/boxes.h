/* Boxes out of activated values, and the suppression of those found twice.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_BOXES_H
#define YOLO_BOXES_H

#include <stdint.h>

/* A tree of classes.  The children of a class are one group of neighbours; group 0 holds the
 * roots.  Values of classes are probabilities given their parent. */
typedef struct yolo_tree {
    const int32_t *parents;  /* [classes]: before its children, or -1 for roots */
    const int32_t *children; /* [classes]: the group of its children, or -1 */
    const int32_t *ends;     /* [groups]: group k ends before this class */
    const int32_t *map;      /* [mapped]: the classes of interest, or NULL */
    int64_t mapped;
    float least; /* go down to children while the probability exceeds this */
} yolo_tree;

/* How boxes stand in one image's activated values [anchors, planes, height, width]. */
typedef struct yolo_cells {
    int64_t anchors;
    int64_t planes;
    int64_t height;
    int64_t width;
    const float *sizes;    /* [anchors, 2]: width and height, relative to the picture */
    int64_t step;          /* x, y, width and height are planes 0, step, 2 step and 3 step */
    int32_t uncertain;     /* 1: behind each of these is its uncertainty */
    int32_t squared;       /* sizes are (2 v)^2 times the anchor's instead of exp(v) times */
    float corner;          /* the centre lies this part of the size behind the point (x, y) */
    int64_t objectness;    /* its plane, or -1 when it is 1 everywhere */
    int64_t first_class;
    int64_t classes;       /* planes of classes */
    const yolo_tree *tree; /* or NULL */
} yolo_cells;

/* The boxes whose objectness and score exceed `threshold` and whose place is finite, at most
 * `capacity` of them (1 or more), those of the highest scores: rows of x, y, width, height
 * (centre and size, relative to the network's input), score, class.  Returns their number.
 * The order is that of cells, anchors and classes, unless some had to go.  `scratch` is room
 * for [classes] where the tree has a map, else NULL. */
int64_t yolo_decode_cells(const yolo_cells *cells, const float *values, float threshold,
    float *scratch, float *rows, int64_t capacity);

/* The same for a vector of YOLOv1: classes [cells, classes], then scales [cells, boxes], then
 * boxes [cells, boxes, 4], with `side` cells in both directions.  Only the score, not the
 * objectness, is compared with `threshold`; boxes of negative size are left out. */
int64_t yolo_decode_grid(const float *values, int64_t side, int64_t boxes, int64_t classes,
    int squared, float threshold, float *rows, int64_t capacity);

/* Class by class, from the highest score down, the rows that overlap no kept row by more than
 * `threshold`: intersection over union, less (d / c)^power where `power` is above 0, d being
 * the squared distance of the centres, c the squared diagonal of the box around both.  They
 * are written to `kept`, the highest score first.  Returns their number, or -1 when there is
 * no memory for the work. */
int64_t yolo_suppress(
    const float *rows, int64_t count, float threshold, double power, float *kept);

/* Where a picture lies in the network's input, relative to it: corner and size. */
typedef struct yolo_placement {
    double left, top, width, height;
} yolo_placement;

/* The corners of boxes, given by rows relative to the network's input, in a picture that lies
 * there, cut to it: left, top, right and bottom as shares of the picture times `across`
 * (left, right) and `down` (top, bottom). */
void yolo_find_corners(const float *rows, int64_t count, const yolo_placement *picture,
    double across, double down, double *corners);

#endif
