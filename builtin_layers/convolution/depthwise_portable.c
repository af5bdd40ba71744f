/* Rows of a depthwise convolution for any processor. */

#define ROW plugrt_depthwise_row_16_portable
#define BLOCK 16
#define POINTS 3
#include "depthwise_row.h"

#define ROW plugrt_depthwise_row_8_portable
#define BLOCK 8
#define POINTS 8
#include "depthwise_row.h"
