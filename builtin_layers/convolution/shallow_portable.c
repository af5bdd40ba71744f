/* Rows of a convolution of few channels for any processor. */

#define SUFFIX portable
#define LANES 4
#define POINTS 4
#include "shallow_row.h"
