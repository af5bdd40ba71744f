/* Rows of a depthwise convolution for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#define ROW plugrt_depthwise_row_16_avx512
#define BLOCK 16
#define POINTS 8
#include "depthwise_row.h"

#define ROW plugrt_depthwise_row_8_avx512
#define BLOCK 8
#define POINTS 8
#include "depthwise_row.h"

#endif
