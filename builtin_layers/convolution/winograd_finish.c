/* The epilogue of a Winograd convolution that is more than activations and a sum: a pointwise
 * program over the outputs of a few tiles, while these are in cache. */
#include "winograd.h"

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
        for (int k = 0; k < width; k += step) {
            const struct epilogue_region region = {
                .image = place.image,
                .row = place.row,
                .column = place.column,
                .rows = rows < a->tile ? rows : a->tile,
                .columns = columns < tiles * a->tile ? columns : tiles * a->tile,
                .channel = channel + k,
                .channels = width - k < step ? width - k : step,
            };
            status |= plugrt_run_epilogue(
                &a->epilogue, &call->tensors, call->output, a->output_stride, &region);
        }
        t += tiles;
    }
    return status;
}
