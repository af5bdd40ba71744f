/* Quantising for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define ISA avx2
#include "blocks.h"

#endif
