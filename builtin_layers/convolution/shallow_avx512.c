/* Rows of a convolution of few channels for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#include <immintrin.h>

#define SUFFIX avx512
#define LANES 16
#define POINTS 14
#include "shallow_row.h"

/* For up to 8 output channels half as wide vectors take half as long. */
#undef SUFFIX
#undef LANES
#define SUFFIX avx512_half
#define LANES 8
#include "shallow_row.h"

#endif
