/* Winograd convolution for AVX2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")

#define SUFFIX avx2
#define LANES 8
#define ROWS 6
#include "winograd_product.h"

#define TILE 2
#include "winograd_input.h"
#include "winograd_output.h"
#undef TILE

#define TILE 4
#include "winograd_input.h"
#include "winograd_output.h"

#endif
