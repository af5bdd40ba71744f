/* Rows of a depthwise convolution for any processor. */

#define SUFFIX portable
#define LANES 4
#define GENERAL
#include "depthwise_row.h"
