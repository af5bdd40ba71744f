/* The preparation of pictures as a kernel of a recording.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_PREPARE_KERNEL_H
#define YOLO_PREPARE_KERNEL_H

#include "plugrt_kernel.h"

/* Pictures, bytes [images, height, width, pixel_stride] without gaps, become floats
 * [images, channels, output_height, output_width]; see resizing.h. */
typedef struct yolo_prepare_arguments {
    plugrt_ref pictures;
    plugrt_ref output;
    int64_t images;
    int64_t height;
    int64_t width;
    int64_t pixel_stride;
    int64_t channels;
    int64_t output_height;
    int64_t output_width;
    int64_t place[4]; /* height, width, top, left: a yolo_place */
    int32_t interpolation;
    int32_t surroundings;
} yolo_prepare_arguments;

int yolo_prepare_pictures(const void *arguments, const plugrt_call *call);

#endif
