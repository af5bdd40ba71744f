/* Convolution of a linear float32 tensor of few channels, such as an image, straight into a
 * channels-last or blocked tensor of float32 or bfloat16.
 *
 * For each row of outputs the input rows that it sees are copied to lines with zeros for the
 * padding.  Then one element of a line after the other is multiplied by a vector of weights, one
 * per output channel; the sums of a few neighbouring points stay in registers.
 *
 * Processors that multiply pairs of bfloat16 values take lines two by two: an element of a line of
 * pairs is one value of each, and so is an element of the weights.
 *
 * In memory the weights are [panel of 32 outputs][line][kernel column][32 outputs], zeros behind
 * the last output; line number c * kernel height + h is of channel c and kernel row h.
 */
#ifndef PLUGRT_CONVOLUTION_SHALLOW_H
#define PLUGRT_CONVOLUTION_SHALLOW_H

#include "block_epilogue.h"

enum {
    SHALLOW_PANEL = 32,
    SHALLOW_LINE_BYTES = 98304, /* of all lines of one row of outputs */
    SHALLOW_LINE_STEP = 16, /* elements that lines are filled by */
};

struct shallow_arguments {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
    int32_t narrow; /* the output is bfloat16 */
    int32_t pairs; /* the products are of pairs of bfloat16 values; so is the output */
    int32_t batch, channels, outputs;
    int32_t input_size[2], output_size[2];
    int32_t kernel[2], stride[2], before[2];
    int32_t line; /* elements of a line; a multiple of SHALLOW_LINE_STEP */
    int64_t input_stride[3]; /* image, channel, row; in elements */
    int64_t output_stride[4]; /* image, block of 16 channels, row, pixel */
    struct block_epilogue epilogue;
};

/* One row of outputs: addresses of the image, of weights and bias as a whole, and of the row. */
struct shallow_row {
    const float *input;
    const void *weights;
    const float *bias;
    char *output;
    int row;
};

typedef void shallow_row_function(
    const struct shallow_arguments *arguments, const struct shallow_row *row);

#define SHALLOW_DECLARE(isa)                                                                 \
    extern shallow_row_function plugrt_shallow_float32_##isa, plugrt_shallow_bfloat16_##isa

SHALLOW_DECLARE(portable);
#if defined(__x86_64__)
SHALLOW_DECLARE(avx2);
SHALLOW_DECLARE(avx512);
SHALLOW_DECLARE(avx512_half); /* vectors of 8 */
SHALLOW_DECLARE(avx512_bf16);
SHALLOW_DECLARE(avx512_bf16_half);
extern shallow_row_function plugrt_shallow_pairs_avx512_bf16, plugrt_shallow_pairs_avx512_bf16_half;
#endif

#endif
