/* Products for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#include <immintrin.h>

#define SUFFIX avx512
#define LANES 16
#define MOST_VECTORS 4
#define STEPS STEP_OF(4, 6); else STEP_OF(3, 8); else STEP_OF(2, 12); else STEP_OF(1, 12);
#include "product_row.h"

#endif
