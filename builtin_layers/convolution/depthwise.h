/* Depthwise convolution over two dimensions in float32 and bfloat16: a filter for each channel.
 *
 * Vectors lie along the channels, of channels-last tensors or of blocks of 16.  A step computes a
 * few neighbouring points of one row; each input element is loaded once per row of the filter and
 * goes into all the sums that it is part of.
 *
 * In memory the weights are [kernel row][kernel column][channel] in float32, with zeros behind the
 * last channel up to a whole block.
 */
#ifndef PLUGRT_CONVOLUTION_DEPTHWISE_H
#define PLUGRT_CONVOLUTION_DEPTHWISE_H

#include "block_epilogue.h"

struct depthwise_arguments {
    plugrt_ref input, weights, bias, output;
    int32_t has_bias;
    int32_t narrow; /* bfloat16 in place of float32 */
    int32_t pairs; /* bfloat16, channels-last: weights as depthwise_pairs.h wants them */
    int32_t batch, channels;
    int32_t blocks_per_task; /* of 16 channels; the blocks of a task lie side by side */
    int32_t input_size[2], output_size[2];
    int32_t kernel[2], stride[2], before[2];
    int64_t input_stride[4]; /* image, block of 16 channels, row, pixel; in elements */
    int64_t output_stride[4];
    struct block_epilogue epilogue;
};

/* Channels [0, channels) of one row of outputs; addresses are of the first of them. */
struct depthwise_row {
    const char *input; /* of the image */
    const void *weights;
    const float *bias; /* or NULL */
    char *output; /* of the row */
    int row, channels;
};

/* Some steps along a row, side by side, and the rows of the window that lie inside the image.
 * Distances are in bytes, of weights in elements. */
struct depthwise_strip {
    const struct depthwise_arguments *arguments;
    const char *input; /* of the first step's first window */
    const void *weights; /* of the first row inside; as pairs of the first row of all */
    const float *bias;
    char *output;
    int64_t input_row, input_pixel, output_pixel, weights_column;
    int missing; /* rows of the window above the image, */
    int rows; /* and how many then lie inside */
    int channels, steps;
    int column; /* where the first window begins in the image, */
    int points; /* and how many points are stored; both count where steps is 1 */
};

typedef void depthwise_row_function(
    const struct depthwise_arguments *arguments, const struct depthwise_row *row);

#define DEPTHWISE_DECLARE(isa)                                                               \
    extern depthwise_row_function plugrt_depthwise_float32_##isa, plugrt_depthwise_bfloat16_##isa

DEPTHWISE_DECLARE(portable);
#if defined(__x86_64__)
DEPTHWISE_DECLARE(avx2);
DEPTHWISE_DECLARE(avx512);
DEPTHWISE_DECLARE(avx512_bf16);
extern depthwise_row_function plugrt_depthwise_pairs_avx512_bf16;
#endif

#endif
