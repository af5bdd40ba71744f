/* Products for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define SUFFIX avx2
#define LANES 8
#define MOST_VECTORS 2
#define STEPS STEP_OF(2, 6);
#include "product_row.h"

#endif
