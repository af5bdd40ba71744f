/* Products of the channels of many points with one matrix: 1x1 convolutions of what is in cache.
 *
 * Points are channels-last, evenly spaced, of float32 or bfloat16.  A step computes a few points
 * and up to 64 output channels; one input value after the other is multiplied by vectors of
 * weights, and the sums stay in registers.
 *
 * In memory the weights are panels of up to 64 output channels, the last as wide as it must be in
 * whole blocks of 16, with zeros behind the last channel; a panel is [input channel][output
 * channel] in float32, or as pairs of bfloat16 values [pair of input channels][output channel][2].
 */
#ifndef PLUGRT_CONVOLUTION_PRODUCT_H
#define PLUGRT_CONVOLUTION_PRODUCT_H

#include "block_epilogue.h"

enum { PRODUCT_PANEL = 64 };

/* Distances are in bytes. */
struct product {
    const char *input;
    const void *weights;
    const float *bias; /* or NULL */
    char *output;
    const char *added; /* as the output, or NULL: added after the first activation */
    int64_t input_pixel, output_pixel, added_pixel;
    int narrow; /* the input is bfloat16 */
    int pairs; /* and the weights are pairs */
    int narrows; /* the output and what is added are bfloat16; only if the input is */
    int fetches; /* whether the output is to be fetched: where it is in no near cache */
    int points, inputs, outputs; /* `inputs` is even where there are pairs */
    const struct activation *first, *second;
};

typedef void product_function(const struct product *product);

extern product_function plugrt_product_portable;
#if defined(__x86_64__)
extern product_function plugrt_product_avx2, plugrt_product_avx512, plugrt_product_avx512_bf16;
#endif

/* The function for this processor; that for BF16 knows pairs alone. */
static inline product_function *plugrt_product_best(int pairs)
{
#if defined(__x86_64__)
    if (pairs)
        return plugrt_product_avx512_bf16;
#endif
    (void)pairs;
    return BEST_OF(plugrt_product);
}

#endif
