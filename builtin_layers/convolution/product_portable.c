/* Products for any processor. */

#define SUFFIX portable
#define LANES 4
#define MOST_VECTORS 2
#define STEPS STEP_OF(2, 4);
#include "product_row.h"
