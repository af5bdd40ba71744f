/* CRC-32 sums, as in gzip, of ranges of memory. */
#ifndef PLUGRT_CHECKSUM_H
#define PLUGRT_CHECKSUM_H

#include <stdint.h>

/* Whether plugrt_checksums runs here: it needs the carry-less product. */
int plugrt_has_checksums(void);

/* sums[k] of lengths[k] bytes at base + starts[k]. `release` gives the pages of a file mapping
   back while it goes, so that little of it is in memory at a time; ranges then have to ascend. */
void plugrt_checksums(const char *base, const uint64_t *starts, const uint64_t *lengths,
                      uint64_t count, int release, uint32_t *sums);

#endif
