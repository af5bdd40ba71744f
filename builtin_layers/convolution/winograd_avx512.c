/* Winograd convolution for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#include <immintrin.h>

#define WINOGRAD_LEAKY(x, slope) \
    _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LE_OQ), x, slope)
#define WINOGRAD_CLIP(x, low, high) _mm512_min_ps(high, _mm512_max_ps(low, x))

#define SUFFIX avx512
#define LANES 16
#define ROWS 14
#include "winograd_product.h"

#define TILE 2
#include "winograd_input.h"
#include "winograd_output.h"
#undef TILE

#define TILE 4
#include "winograd_input.h"
#include "winograd_output.h"

#endif
