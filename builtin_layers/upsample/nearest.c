/* Upsampling by repetition: moves elements of any type. */
#include <string.h>

#include "upsample/upsample.h"

/* extra: bytes of one element, bytes of one pixel */

/* One row of single elements; the factor 2 is worth its own loop. */
#define REPEAT(T)                                                                             \
    do {                                                                                      \
        const T *x = (const T *)from;                                                         \
        T *y = (T *)to;                                                                       \
        if (scale == 2)                                                                       \
            for (int64_t i = 0; i < width; i++) {                                             \
                y[2 * i] = x[i];                                                              \
                y[2 * i + 1] = x[i];                                                          \
            }                                                                                 \
        else                                                                                  \
            for (int64_t i = 0; i < width; i++)                                               \
                for (int64_t s = 0; s < scale; s++)                                           \
                    y[i * scale + s] = x[i];                                                  \
    } while (0)

TARGET_CLONES static void repeat_elements(
    const char *from, char *to, int64_t width, int64_t scale, int64_t size)
{
    switch (size) {
    case 1: REPEAT(uint8_t); break;
    case 2: REPEAT(uint16_t); break;
    case 4: REPEAT(uint32_t); break;
    default: REPEAT(uint64_t);
    }
}

static void repeat_pixels(const struct upsample *u, const char *from, char *to)
{
    size_t pixel = (size_t)u->extra[1];
    for (int64_t i = 0; i < u->sizes[2]; i++) {
        for (int64_t s = 0; s < u->scales[2]; s++) {
            memcpy(to, from, pixel);
            to += u->output_strides[2];
        }
        from += u->input_strides[2];
    }
}

/* Writes the first of the rows that repeat one input row, and copies it to the others. */
static void repeat_rows(
    const struct upsample *u, const char *input, char *output, int64_t depth, int64_t row)
{
    const char *from = input + depth / u->scales[0] * u->input_strides[0]
        + row / u->scales[1] * u->input_strides[1];
    char *to = output + depth * u->output_strides[0] + row * u->output_strides[1];
    int64_t element = u->extra[0], pixel = u->extra[1];
    int64_t width = u->sizes[2], wide = width * u->scales[2];
    int dense = u->input_strides[2] == pixel && u->output_strides[2] == pixel;
    if (dense && pixel == element && element <= 8)
        repeat_elements(from, to, width, u->scales[2], element);
    else
        repeat_pixels(u, from, to);
    for (int64_t s = 1; s < u->scales[1]; s++) {
        char *copy = to + s * u->output_strides[1];
        if (u->output_strides[2] == pixel)
            memcpy(copy, to, (size_t)(wide * pixel));
        else
            for (int64_t i = 0; i < wide; i++)
                memcpy(copy + i * u->output_strides[2], to + i * u->output_strides[2],
                    (size_t)pixel);
    }
}

LAYER_KERNEL(plugrt_upsample_nearest)
{
    const struct upsample *u = args;
    return run_upsample(u, call, repeat_rows, u->scales[1]);
}
