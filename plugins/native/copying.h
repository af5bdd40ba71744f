/* Strided copies of items of any size: copy, slice, concatenation, transposition,
 * change of format, broadcast, fill.
 *
 * Python reduces the tensors' dimensions to outer loops and a plane of rows and
 * columns (see copying.py).  This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_COPYING_H
#define PLUGRT_COPYING_H

#include "plugrt_kernel.h"

enum plugrt_copy_mode {
    PLUGRT_COPY_RUNS,      /* columns are contiguous on both sides */
    PLUGRT_COPY_TRANSPOSE, /* columns are contiguous in the destination, rows in the source */
    PLUGRT_COPY_STRIDED    /* anything else */
};

/* The argument block.  Strides are in bytes; items of 1, 2, 4, 8 or 16 bytes
 * (in RUNS of any size). */
typedef struct {
    plugrt_ref source;
    plugrt_ref destination;
    int32_t mode;
    int32_t item_size;
    int32_t parallel; /* whether there is enough work to wake other threads */
    int32_t outer_rank;
    int64_t outer_sizes[10];
    int64_t source_outer_strides[10];
    int64_t destination_outer_strides[10];
    int64_t rows;
    int64_t source_row_stride;
    int64_t destination_row_stride;
    int64_t columns;
    int64_t source_column_stride;
    int64_t destination_column_stride;
} plugrt_copy_arguments;

int plugrt_copy(const void *args, const plugrt_call *call);

#endif
