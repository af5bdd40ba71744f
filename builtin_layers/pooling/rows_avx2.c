/* Pooling for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#include <immintrin.h>

#define ISA avx2
#define WIDTH 32
#include "kinds.h"

#endif
