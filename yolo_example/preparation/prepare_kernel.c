/* The preparation of pictures as a kernel of a recording. */
#include "prepare_kernel.h"
#include "resizing.h"

int yolo_prepare_pictures(const void *arguments, const plugrt_call *call)
{
    const yolo_prepare_arguments *a = arguments;
    const uint8_t *pictures = plugrt_address(call, a->pictures);
    float *output = plugrt_address(call, a->output);
    const int64_t row_stride = a->width * a->pixel_stride;
    const yolo_place place = { a->place[0], a->place[1], a->place[2], a->place[3] };
    for (int64_t n = 0; n < a->images; n++) {
        const yolo_picture picture = {
            pictures + n * a->height * row_stride, a->height, a->width, row_stride,
            a->pixel_stride,
        };
        yolo_prepare(&picture, &place, a->interpolation, a->surroundings,
            output + n * a->channels * a->output_height * a->output_width, a->channels,
            a->output_height, a->output_width, call->thread_count);
    }
    return 0;
}
