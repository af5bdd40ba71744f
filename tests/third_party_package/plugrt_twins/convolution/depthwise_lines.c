/* Depthwise lines for every instruction set. */
#include "direct.h"

#include <string.h>

#define RUN_LINE twins_depthwise_16_baseline
#define LANES 16
#define REACH 3
#include "depthwise_line.h"

#define RUN_LINE twins_depthwise_8_baseline
#define LANES 8
#define REACH 8
#include "depthwise_line.h"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#define RUN_LINE twins_depthwise_16_avx2
#define LANES 16
#define REACH 6
#include "depthwise_line.h"

#define RUN_LINE twins_depthwise_8_avx2
#define LANES 8
#define REACH 8
#include "depthwise_line.h"

#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")

#define RUN_LINE twins_depthwise_16_avx512
#define LANES 16
#define REACH 8
#include "depthwise_line.h"

#define RUN_LINE twins_depthwise_8_avx512
#define LANES 8
#define REACH 8
#include "depthwise_line.h"

#pragma GCC pop_options

#endif
