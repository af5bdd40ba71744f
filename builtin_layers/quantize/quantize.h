/* float32 to 8-bit integers on one scale: value / scale, rounded half to even, plus the zero point,
 * saturated; NaN becomes 0. */
#ifndef PLUGRT_QUANTIZE_H
#define PLUGRT_QUANTIZE_H

#include "layer_kernel.h"

struct quantize_arguments {
    plugrt_ref input, output;
    int64_t count;
    float scale;
    int32_t zero;
};

typedef void quantize_function(
    const float *from, void *to, int64_t count, float scale, int zero);

#define DECLARE_QUANTIZE(isa) quantize_function plugrt_quantized_int8_t_##isa, plugrt_quantized_uint8_t_##isa

DECLARE_QUANTIZE(portable);
#if defined(__x86_64__)
DECLARE_QUANTIZE(avx2);
DECLARE_QUANTIZE(avx512);
#endif

#endif
