/* The kernels of the Darknet layers, and the decoding of boxes.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_KERNELS_H
#define YOLO_KERNELS_H

#include "plugrt_kernel.h"

/* Values [images, anchors * (5 + classes), area] activated; in place or not.  Of an anchor's
 * planes the first two are the centre, then width, height, objectness and classes. */
typedef struct yolo_detection_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t anchors; /* of all images together */
    int64_t classes;
    int64_t area;
    float centre_scale; /* applied to the centre after its activation */
    float centre_shift;
    int32_t logistic; /* activate centre, objectness and, without softmax, classes */
    int32_t softmax;  /* classes by softmax */
} yolo_detection_arguments;

int yolo_activate_detections(const void *arguments, const plugrt_call *call);

/* Elements moved between pixels and channels.  `wide` is the tensor of more channels, [count,
 * channels, height, width]; see reorg.c for the two orders. */
typedef struct yolo_reorg_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t images;
    int64_t channels;
    int64_t height;
    int64_t width;
    int64_t stride;
    int32_t element_size; /* bytes: 1, 2, 4 or 8 */
    int32_t gather;       /* 1: output[flat] = input[moved]; 0: the other way round */
} yolo_reorg_arguments;

int yolo_reorg(const void *arguments, const plugrt_call *call);

/* Boxes of one image's activated values [anchors * (5 + classes), height, width] whose
 * objectness and score exceed `threshold` and whose place is finite: rows of x, y, width,
 * height (centre and size, relative to the network's input), score, class.  `sizes` holds
 * width and height of every anchor, relative too; with `squared` they are multiplied by
 * (2 v)^2 instead of exp(v).  Returns the number of boxes; only `capacity` are written. */
int64_t yolo_decode(const float *values, int64_t anchors, int64_t classes, int64_t height,
    int64_t width, const float *sizes, int squared, float threshold, float *boxes,
    int64_t capacity);

/* Box `i` of `count` is dropped when its intersection over union with an earlier kept one
 * exceeds `threshold`.  `boxes` holds rows of x, y, width, height (centre and size) in
 * descending order of score; `keep` becomes 1 or 0. */
void yolo_suppress(const float *boxes, int64_t count, float threshold, uint8_t *keep);

#endif
