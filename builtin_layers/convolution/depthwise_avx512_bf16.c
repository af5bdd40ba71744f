/* Rows of a depthwise convolution for AVX-512 with BF16. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma,prefer-vector-width=512")

#include <immintrin.h>

#define SUFFIX avx512_bf16
#define LANES 16
#include "depthwise_row.h"

#include "depthwise_pairs.h"

#endif
