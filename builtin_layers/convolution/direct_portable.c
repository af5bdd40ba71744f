/* Rows of a direct convolution for any processor. */

#define ROW plugrt_direct_row_16_portable
#define BLOCK 16
#define POINTS 3
#include "direct_row.h"

#define ROW plugrt_direct_row_8_portable
#define BLOCK 8
#define POINTS 8
#include "direct_row.h"
