/* Transposition where one side has two to four items: the planes of a picture. */
#ifndef PLUGRT_INTERLEAVE_H
#define PLUGRT_INTERLEAVE_H

#include <stdint.h>

/* planes[p][i] = items[i * count + p] for i < length, `plane_stride` bytes between planes.
 * Returns 0 without doing anything unless item_size is 1, 2 or 4 and 2 <= count <= 4. */
int deinterleave(char *planes, int64_t plane_stride, const char *items, int64_t length,
    int64_t count, int item_size);

/* items[i * count + p] = planes[p][i]; otherwise as deinterleave. */
int interleave(char *items, const char *planes, int64_t plane_stride, int64_t length,
    int64_t count, int item_size);

#endif
