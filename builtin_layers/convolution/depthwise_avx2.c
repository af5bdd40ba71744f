/* Rows of a depthwise convolution for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define ROW plugrt_depthwise_row_16_avx2
#define BLOCK 16
#define POINTS 6
#include "depthwise_row.h"

#define ROW plugrt_depthwise_row_8_avx2
#define BLOCK 8
#define POINTS 8
#include "depthwise_row.h"

#endif
