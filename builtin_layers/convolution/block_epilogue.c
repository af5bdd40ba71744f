/* The pointwise program of an epilogue, run on a few outputs at a time while these are in cache. */
#include "block_epilogue.h"

#include "pointwise.h"

#include <string.h>

enum { OUTPUT_SLOT = EPILOGUE_OPERANDS + 1 };

struct epilogue_tensors plugrt_epilogue_tensors(
    const struct block_epilogue *epilogue, const plugrt_call *call)
{
    struct epilogue_tensors tensors = {.program = plugrt_address(call, epilogue->program)};
    for (int k = 0; k < EPILOGUE_OPERANDS; k++)
        tensors.operand[k] = plugrt_address(call, epilogue->operand[k]);
    return tensors;
}

/* Slot 0 and the last are the outputs, slot k is operand k - 1. */
int plugrt_run_epilogue(const struct block_epilogue *epilogue,
    const struct epilogue_tensors *tensors, void *output, const int64_t *output_stride,
    const struct epilogue_region *region)
{
    if (epilogue->program_bytes == 0)
        return 0;
    const int block = region->channel / CHANNEL_BLOCK, lane = region->channel % CHANNEL_BLOCK;
    _Alignas(64) char copy[EPILOGUE_PROGRAM_BYTES];
    memcpy(copy, tensors->program, (size_t)epilogue->program_bytes);
    plugrt_pointwise_program *program = (plugrt_pointwise_program *)copy;
    plugrt_pointwise_operand *operands = (plugrt_pointwise_operand *)(program + 1);
    void *slots[OUTPUT_SLOT + 1] = {NULL};
    program->outer_sizes[0] = region->rows;
    program->rows = region->columns;
    program->columns = region->channels;
    for (int i = 0; i < program->operand_count; i++) {
        const int slot = (int)operands[i].ref.slot;
        const int is_output = slot == 0 || slot == OUTPUT_SLOT;
        if (!is_output && epilogue->vector_bytes[slot - 1] != 0) {
            slots[slot] = (char *)tensors->operand[slot - 1]
                + region->channel * (int64_t)epilogue->vector_bytes[slot - 1];
            continue;
        }
        const int64_t *stride = is_output ? output_stride : epilogue->stride[slot - 1];
        char *base = is_output ? output : (char *)tensors->operand[slot - 1];
        const int64_t offset = region->image * stride[0] + block * stride[1]
            + region->row * stride[2] + region->column * stride[3] + lane;
        slots[slot] = base + offset * epilogue->element_bytes;
        operands[i].row_stride = stride[3] * epilogue->element_bytes;
        operands[i].outer_strides[0] = stride[2] * epilogue->element_bytes;
    }
    const plugrt_call inner = {
        .abi_version = PLUGRT_KERNEL_ABI_VERSION,
        .slot_count = OUTPUT_SLOT + 1,
        .slots = slots,
        .thread_count = 1,
    };
    return epilogue->run(program, &inner);
}
