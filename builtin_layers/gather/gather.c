/* Gather: pieces of a dense tensor, copied by index. */
#include "layer_kernel.h"

#include <stdio.h>
#include <string.h>

struct arguments {
    plugrt_ref data, indices, output;
    int64_t outer;       /* product of the sizes before the axis */
    int64_t extent;      /* size of the axis */
    int64_t count;       /* number of indices */
    int64_t piece;       /* bytes of the dimensions behind the axis */
    uint32_t index_size; /* bytes of one index, 4 or 8 */
};

static int64_t index_at(const void *indices, uint32_t size, int64_t i)
{
    return size == 4 ? ((const int32_t *)indices)[i] : ((const int64_t *)indices)[i];
}

static void copy_pieces(const struct arguments *a, const char *data, const void *indices,
    char *output, int64_t first, int64_t last)
{
    for (int64_t k = first; k < last; k++) {
        int64_t index = index_at(indices, a->index_size, k % a->count);
        if (index < 0)
            index += a->extent;
        const char *from = data + (k / a->count * a->extent + index) * a->piece;
        /* Constant sizes become single moves. */
        switch (a->piece) {
        case 1: output[k] = *from; break;
        case 4: memcpy(output + 4 * k, from, 4); break;
        case 8: memcpy(output + 8 * k, from, 8); break;
        default: memcpy(output + a->piece * k, from, (size_t)a->piece);
        }
    }
}

LAYER_KERNEL(plugrt_gather)
{
    const struct arguments *a = args;
    const char *data = plugrt_address(call, a->data);
    const void *indices = plugrt_address(call, a->indices);
    char *output = plugrt_address(call, a->output);
    for (int64_t i = 0; i < a->count; i++) {
        int64_t index = index_at(indices, a->index_size, i);
        if (index < -a->extent || index >= a->extent) {
            snprintf(call->message, call->message_capacity,
                "index %lld at position %lld is outside of an axis of size %lld",
                (long long)index, (long long)i, (long long)a->extent);
            return 1;
        }
    }
    int64_t total = a->outer * a->count;
    int64_t chunks = total * a->piece > 65536 ? call->thread_count : 1;
#pragma omp parallel for num_threads(call->thread_count) if (chunks > 1)
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        copy_pieces(a, data, indices, output, total * chunk / chunks,
            total * (chunk + 1) / chunks);
    return 0;
}
