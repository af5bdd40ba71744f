/* Rows of a depthwise convolution for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define SUFFIX avx2
#define LANES 8
#include "depthwise_row.h"

#endif
