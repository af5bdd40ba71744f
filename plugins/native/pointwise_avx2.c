/* Pointwise loops for processors with AVX2 and FMA. */
#if defined(__x86_64__)

/* Library headers come first: their inline functions stay portable. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define POINTWISE_TABLE pointwise_avx2
#include "pointwise_loops.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
