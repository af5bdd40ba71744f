/* Pictures of bytes into the float planes that networks take.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_RESIZING_H
#define YOLO_RESIZING_H

#include <stdint.h>

/* A picture of red, green and blue bytes. */
typedef struct yolo_picture {
    const uint8_t *pixels; /* the upper left one */
    int64_t height;
    int64_t width;
    int64_t row_stride;   /* bytes; below 0 where rows lie upside down */
    int64_t pixel_stride; /* bytes: 3, or 4 of which the last means nothing */
} yolo_picture;

/* Where in the output the resized picture lies.  What is off the output is not computed. */
typedef struct yolo_place {
    int64_t height; /* of the whole picture once resized, at least 1 */
    int64_t width;
    int64_t top; /* row and column of its upper left pixel in the output; may be below 0 */
    int64_t left;
} yolo_place;

enum yolo_interpolation {
    YOLO_CORNERS, /* Darknet's: the corners of both fall on each other, floats throughout */
    YOLO_CENTRES  /* OpenCV's: centres half a pixel inside, 11-bit weights, rounded to bytes */
};

enum yolo_surroundings {
    YOLO_GREY,  /* 0.5 */
    YOLO_EXTEND /* the picture's nearest pixel */
};

/* Writes every element of `output`, [channels, height, width] of values from 0 to 1.  With 3
 * channels these are red, green, blue; with 1 it is their luminance.  The result does not
 * depend on `threads`. */
void yolo_prepare(const yolo_picture *picture, const yolo_place *place, int interpolation,
    int surroundings, float *output, int64_t channels, int64_t height, int64_t width,
    int threads);

#endif
