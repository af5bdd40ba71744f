/* The epilogue of a Winograd convolution that is more than activations and a sum: a pointwise
 * program over the outputs of a few tiles, while these are in cache. */
#include "winograd.h"

#include "pointwise.h"

#include <string.h>

enum { OUTPUT_SLOT = WINOGRAD_OPERANDS + 1 };

/* The program for `rows` x `columns` points from `place` on, and `channels` channels that lie side
 * by side.  Slot 0 and the last are the outputs, slot k is operand k - 1. */
static int run_program(const struct winograd_call *call, const struct winograd_place *place,
    int rows, int columns, int channel, int channels)
{
    const struct winograd_arguments *a = call->arguments;
    const struct winograd_epilogue *epilogue = &a->epilogue;
    const int block = channel / WINOGRAD_BLOCK, lane = channel % WINOGRAD_BLOCK;
    _Alignas(64) char copy[WINOGRAD_PROGRAM_BYTES];
    memcpy(copy, call->program, (size_t)epilogue->program_bytes);
    plugrt_pointwise_program *program = (plugrt_pointwise_program *)copy;
    plugrt_pointwise_operand *operands = (plugrt_pointwise_operand *)(program + 1);
    void *slots[OUTPUT_SLOT + 1] = {NULL};
    program->outer_sizes[0] = rows;
    program->rows = columns;
    program->columns = channels;
    for (int i = 0; i < program->operand_count; i++) {
        const int slot = (int)operands[i].ref.slot;
        const int is_output = slot == 0 || slot == OUTPUT_SLOT;
        const int64_t *stride = is_output ? a->output_stride : epilogue->stride[slot - 1];
        const float *base = is_output ? call->output : call->operand[slot - 1];
        if (!is_output && epilogue->is_vector[slot - 1]) {
            slots[slot] = (void *)(base + channel);
            continue;
        }
        slots[slot] = (void *)(base + winograd_offset(stride, place) + block * stride[1] + lane);
        operands[i].row_stride = stride[3] * (int64_t)sizeof(float);
        operands[i].outer_strides[0] = stride[2] * (int64_t)sizeof(float);
    }
    const plugrt_call inner = {
        .abi_version = PLUGRT_KERNEL_ABI_VERSION,
        .slot_count = OUTPUT_SLOT + 1,
        .slots = slots,
        .thread_count = 1,
    };
    return epilogue->run(program, &inner);
}

int plugrt_winograd_finish(
    const struct winograd_call *call, const struct winograd_chunk *chunk, int channel, int width)
{
    const struct winograd_arguments *a = call->arguments;
    if (a->epilogue.program_bytes == 0)
        return 0;
    const int step = a->output_stride[1] == WINOGRAD_BLOCK ? width : WINOGRAD_BLOCK;
    int status = 0;
    for (int t = 0; t < chunk->rows;) {
        const struct winograd_place place = winograd_place_of(call, chunk->first + t);
        const int in_row = call->tile_columns - place.column / a->tile;
        const int tiles = in_row < chunk->rows - t ? in_row : chunk->rows - t;
        const int rows = a->output_size[0] - place.row, columns = a->output_size[1] - place.column;
        for (int k = 0; k < width; k += step)
            status |= run_program(call, &place, rows < a->tile ? rows : a->tile,
                columns < tiles * a->tile ? columns : tiles * a->tile, channel + k,
                width - k < step ? width - k : step);
        t += tiles;
    }
    return status;
}
