/* Rows of a convolution of few channels for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define SUFFIX avx2
#define LANES 8
#define POINTS 5
#include "shallow_row.h"

#endif
