/* Transposition of planes of small items. */
#ifndef PLUGRT_TRANSPOSE_H
#define PLUGRT_TRANSPOSE_H

#include <stdint.h>

/* destination[row][column] = source[column][row].  Both inner dimensions are
 * contiguous: `source_stride` is the distance in bytes between columns,
 * `destination_stride` that between rows.  `item_size` is 1, 2, 4, 8 or 16. */
void transpose_plane(char *destination, int64_t destination_stride, const char *source,
    int64_t source_stride, int64_t rows, int64_t columns, int item_size);

#endif
