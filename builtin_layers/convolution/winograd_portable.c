/* Winograd convolution for any processor. */

#define SUFFIX portable
#define LANES 4
#define ROWS 3
#include "winograd_product.h"

#define TILE 2
#include "winograd_input.h"
#include "winograd_output.h"
#undef TILE

#define TILE 4
#include "winograd_input.h"
#include "winograd_output.h"
