/* The Arrow C data interface (arrow.apache.org/docs/format/CDataInterface.html).
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_ARROW_H
#define YOLO_ARROW_H

#include <stdint.h>

typedef struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

#endif
