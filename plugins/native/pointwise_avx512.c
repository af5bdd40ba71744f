/* Pointwise loops for processors with AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)

/* Library headers come first: their inline functions stay portable. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif

#define POINTWISE_TABLE pointwise_avx512
#include "pointwise_loops.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
