/* Pooling for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#include <immintrin.h>

#define ISA avx512
#define WIDTH 64
#include "kinds.h"

#endif
