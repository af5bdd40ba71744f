/* Convolution with 3x3 windows, one step apart, by Winograd's minimal filtering F(n x n, 3 x 3).
 *
 * The output is cut into tiles of n x n points, n = 2 or 4.  The n + 2 squared input points that a
 * tile sees and the 3x3 weights are both transformed to as many `positions`; there a convolution
 * is one matrix product per position over the channels, 4 or 2.25 multiplications per output in
 * place of 9; the products are transformed back.  Lavin and Gray, Fast Algorithms for
 * Convolutional Neural Networks (2015).
 *
 * In memory, in words of 32 bits
 *   weights     [panel][position][depth][width]: width output channels make a panel, 32 or in the
 *               last one 16, zeros behind the last output channel
 *   transformed [chunk][block of 16 words of depth][position][14][16]: a chunk is up to 14 tiles, as
 *               many as one step of the matrix product takes; of fewer tiles the rest is left out
 *   product     [chunk][position][14][32]
 *
 * The depth is the input channels of float32 tensors.  Tensors in bfloat16 are transformed in
 * float32, rounded to bfloat16, and two channels make a word, which one instruction multiplies by
 * two weights: the depth is half the channels, up to a whole block of 16.  Each block of 32
 * channels, or 16 at the end, has its even channels before the odd ones, as it is unpacked.  Sums,
 * the output transform and activations are in float32.  Only n = 2 is for bfloat16: the rounding
 * error is 1.3 to 1.7 times that of a direct convolution in bfloat16, with n = 4 up to 4 times.
 */
#ifndef PLUGRT_CONVOLUTION_WINOGRAD_H
#define PLUGRT_CONVOLUTION_WINOGRAD_H

#include "block_epilogue.h"

enum {
    WINOGRAD_BLOCK = CHANNEL_BLOCK,
    WINOGRAD_NARROW_BLOCK = 2 * WINOGRAD_BLOCK, /* channels of a block of words in bfloat16 */
    WINOGRAD_PANEL = 32,
    WINOGRAD_CHUNK = 14,
    WINOGRAD_POSITION = WINOGRAD_CHUNK * WINOGRAD_BLOCK, /* a block's words at one position */
    WINOGRAD_PRODUCT = WINOGRAD_CHUNK * WINOGRAD_PANEL, /* a chunk's products at one position */
};

struct winograd_arguments {
    plugrt_ref input, weights, bias, output, workspace;
    int32_t tile; /* output points along its side: 2 or 4 */
    int32_t is_narrow; /* whether input, weights and output are bfloat16 */
    int32_t has_bias;
    int32_t threads; /* that the workspace is for */
    int32_t block_tiles; /* that are transformed before they are multiplied */
    int32_t is_shared; /* whether all threads work on one block, or each on its own */
    int32_t batch, channels, outputs;
    int32_t input_size[2], output_size[2], before[2];
    int64_t input_stride[4]; /* image, block of 16 channels, row, pixel; in elements */
    int64_t output_stride[4];
    struct block_epilogue epilogue;
};

/* What the steps of one call need. */
struct winograd_call {
    const struct winograd_arguments *arguments;
    const void *input;
    const float *weights, *bias;
    struct epilogue_tensors tensors;
    void *output;
    int positions, depth, blocks; /* blocks of 16 words of depth */
    int tile_rows, tile_columns; /* of one image */
};

/* Tiles [first, first + rows) of all images, and where they are transformed to. */
struct winograd_chunk {
    int64_t first;
    int rows;
    float *transformed;
};

/* Transforms tiles [begin, end) of a chunk. */
typedef void winograd_input_function(
    const struct winograd_call *call, const struct winograd_chunk *chunk, int begin, int end);

/* `rows` tiles times a panel's weights at one position; blocks of depth are `next_block` words
 * apart. */
typedef void winograd_product_function(const float *transformed, int64_t next_block,
    const float *weights, float *product, int depth, int rows, int width);

/* Transforms a chunk's products with a panel back, which begins at output channel `channel`, and
 * stores the outputs. */
typedef void winograd_output_function(const struct winograd_call *call,
    const struct winograd_chunk *chunk, const float *product, int channel, int width);

/* The width of the panel that begins at output channel `first`. */
static inline int winograd_width(int outputs, int first)
{
    return outputs - first > WINOGRAD_BLOCK ? WINOGRAD_PANEL : WINOGRAD_BLOCK;
}

/* Words that the products sum over. */
static inline int winograd_depth(int channels, int is_narrow)
{
    return is_narrow ? (channels + WINOGRAD_BLOCK - 1) / WINOGRAD_BLOCK * (WINOGRAD_BLOCK / 2)
                     : channels;
}

/* Where a tile's first output lies. */
struct winograd_place {
    int64_t image;
    int row, column; /* of the output */
};

static inline struct winograd_place winograd_place_of(
    const struct winograd_call *call, int64_t tile)
{
    const int64_t row = tile / call->tile_columns;
    return (struct winograd_place){
        .image = row / call->tile_rows,
        .row = (int)(row % call->tile_rows) * call->arguments->tile,
        .column = (int)(tile % call->tile_columns) * call->arguments->tile,
    };
}

/* Moves on to the next tile. */
static inline void winograd_advance(
    const struct winograd_call *call, struct winograd_place *place)
{
    const int tile = call->arguments->tile;
    place->column += tile;
    if (place->column < call->tile_columns * tile)
        return;
    place->column = 0;
    place->row += tile;
    if (place->row < call->tile_rows * tile)
        return;
    place->row = 0;
    place->image++;
}

static inline int64_t winograd_offset(const int64_t *stride, const struct winograd_place *place)
{
    return place->image * stride[0] + place->row * stride[2] + place->column * stride[3];
}

/* Runs the epilogue's program on `width` channels of a chunk's outputs. Returns its status. */
int plugrt_winograd_finish(const struct winograd_call *call, const struct winograd_chunk *chunk,
    int channel, int width);

#define WINOGRAD_DECLARE(suffix)                                                             \
    extern winograd_input_function plugrt_winograd_input_2_##suffix,                         \
        plugrt_winograd_input_4_##suffix;                                                    \
    extern winograd_product_function plugrt_winograd_product_##suffix;                       \
    extern winograd_output_function plugrt_winograd_output_2_##suffix,                       \
        plugrt_winograd_output_4_##suffix;

WINOGRAD_DECLARE(portable)
#if defined(__x86_64__)
WINOGRAD_DECLARE(avx2)
WINOGRAD_DECLARE(avx512)

extern winograd_input_function plugrt_winograd_input_narrow;
extern winograd_product_function plugrt_winograd_product_avx512_bf16;
extern winograd_output_function plugrt_winograd_output_2_avx512_bf16;
#endif

#endif
