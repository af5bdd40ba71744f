/* Boxes out of activated values, and their suppression, as kernels of a recording.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_BOXES_KERNEL_H
#define YOLO_BOXES_KERNEL_H

#include "plugrt_kernel.h"

/* The boxes of one head in all images: see yolo_decode_cells.  Rows of image n are written from
 * rows[n, 0] on, their number to found[n]; of both, images lie `apart` lists apart. */
typedef struct yolo_decode_arguments {
    plugrt_ref values; /* activated, [images, anchors * planes, height, width] */
    plugrt_ref sizes;  /* [anchors, 2] */
    plugrt_ref rows;   /* lists of [room, 6] */
    plugrt_ref found;  /* int64 */
    int64_t images;
    int64_t anchors;
    int64_t planes;
    int64_t height;
    int64_t width;
    int64_t objectness;
    int64_t first_class;
    int64_t classes;
    int64_t room;
    int64_t apart;
    int32_t squared;
    float threshold;
} yolo_decode_arguments;

int yolo_decode_head(const void *arguments, const plugrt_call *call);

/* Of the `heads` lists of every image the `capacity` rows of the highest scores, of these what
 * yolo_suppress leaves, of that the first `limit` rows; zeros behind them. */
typedef struct yolo_keep_arguments {
    plugrt_ref rows;   /* [images, heads, capacity + 1, 6] */
    plugrt_ref found;  /* int64 [images, heads] */
    plugrt_ref merged; /* scratch [images, 2, capacity + 1, 6] */
    plugrt_ref kept;   /* [images, limit, 6] */
    plugrt_ref counts; /* int64 [images] */
    int64_t images;
    int64_t heads;
    int64_t capacity;
    int64_t limit;
    float threshold;
    float power;
} yolo_keep_arguments;

int yolo_keep_boxes(const void *arguments, const plugrt_call *call);

#endif
