/* The rows of pooling.h for every type and instruction set. */
#include "pooling.h"

#include <string.h>

#define VARIANT baseline
#include "pooling_types.h"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define VARIANT avx2
#include "pooling_types.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#define VARIANT avx512
#include "pooling_types.h"
#pragma GCC pop_options

#endif
