/* What happens to the outputs of a convolution by our own kernels while they are in registers or
 * in cache: an activation, then perhaps the sum with operand 0, then another activation; then
 * perhaps a pointwise program, which reads the outputs and all operands. */
#ifndef PLUGRT_CONVOLUTION_BLOCK_EPILOGUE_H
#define PLUGRT_CONVOLUTION_BLOCK_EPILOGUE_H

#include "activation.h"
#include "layer_kernel.h"

enum {
    CHANNEL_BLOCK = 16, /* channels that lie side by side in every format but linear ones */
    EPILOGUE_OPERANDS = 4,
    EPILOGUE_PROGRAM_BYTES = 8192,
};

/* block_epilogue.py makes it. */
struct block_epilogue {
    struct activation first, second;
    int32_t adds_operand;
    int32_t vector_bytes[EPILOGUE_OPERANDS]; /* of an element of an operand with one value per
                                              * output channel; 0: it has one per output */
    int32_t element_bytes; /* of the outputs and of operands with one value per output */
    int32_t program_bytes; /* 0 where there is none */
    plugrt_kernel run; /* plugrt_pointwise, and */
    plugrt_ref program; /* its arguments for an output of three dimensions */
    plugrt_ref operand[EPILOGUE_OPERANDS];
    int64_t stride[EPILOGUE_OPERANDS][4]; /* image, block of 16 channels, row, pixel; in elements */
};

/* Where the epilogue's operands lie in one call. */
struct epilogue_tensors {
    const void *program;
    const char *operand[EPILOGUE_OPERANDS];
};

/* Some of a convolution's outputs: rows x columns points from one on, and channels that lie side
 * by side. */
struct epilogue_region {
    int64_t image;
    int row, column, rows, columns;
    int channel, channels;
};

struct epilogue_tensors plugrt_epilogue_tensors(
    const struct block_epilogue *epilogue, const plugrt_call *call);

/* Runs the program, if there is one, on a region of `output`.  Returns its status. */
int plugrt_run_epilogue(const struct block_epilogue *epilogue,
    const struct epilogue_tensors *tensors, void *output, const int64_t *output_stride,
    const struct epilogue_region *region);

#endif
