/* Elements moved between pixels and channels.
 *
 * For element (k, j, i) of a tensor [channels, height, width] there is a partner in the tensor
 * [channels / stride^2, height * stride, width * stride] of as many elements: with
 * c = k mod (channels / stride^2) and block = k div (channels / stride^2), it is
 * (c, j * stride + block div stride, i * stride + block mod stride).  All layers of this kind
 * copy between partners; they differ in direction, and in which of their tensors has the shape
 * [channels, height, width].
 */
#include "kernels.h"

#define MOVE(type)                                                                               \
    do {                                                                                         \
        const type *from = (const type *)input;                                                  \
        type *to = (type *)output;                                                               \
        for (int64_t i = 0; i < a->width; i++) {                                                 \
            if (a->gather)                                                                       \
                to[flat + i] = from[moved + i * a->stride];                                      \
            else                                                                                 \
                to[moved + i * a->stride] = from[flat + i];                                      \
        }                                                                                        \
    } while (0)

int yolo_reorg(const void *arguments, const plugrt_call *call)
{
    const yolo_reorg_arguments *a = arguments;
    const char *input = plugrt_address(call, a->input);
    char *output = plugrt_address(call, a->output);
    const int64_t s = a->stride;
    const int64_t narrow = a->channels / (s * s);

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t row = 0; row < a->images * a->channels * a->height; row++) {
        int64_t j = row % a->height;
        int64_t k = row / a->height % a->channels;
        int64_t image = row / a->height / a->channels;
        int64_t block = k / narrow;
        int64_t channel = image * narrow + k % narrow;
        int64_t flat = row * a->width;
        int64_t moved = (channel * a->height * s + j * s + block / s) * a->width * s + block % s;
        switch (a->element_size) {
        case 1:
            MOVE(uint8_t);
            break;
        case 2:
            MOVE(uint16_t);
            break;
        case 4:
            MOVE(uint32_t);
            break;
        default:
            MOVE(uint64_t);
        }
    }
    return 0;
}
