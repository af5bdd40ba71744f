/* Upsampling by linear interpolation along up to three axes, in float32. */
#include "upsample/upsample.h"

/* extra: enum coordinates, channels of one pixel */
enum coordinates { HALF_PIXEL, ASYMMETRIC, ALIGN_CORNERS };

/* Output position i lies between two input elements: below * (1 - weight) + above * weight. */
struct sample {
    int64_t below, above; /* byte offsets */
    float weight;
};

static inline struct sample sample_at(const struct upsample *u, int axis, int64_t i)
{
    int64_t size = u->sizes[axis], scale = u->scales[axis];
    float position = (float)i;
    if (u->extra[0] == HALF_PIXEL)
        position = (position + 0.5f) / (float)scale - 0.5f;
    else if (u->extra[0] == ASYMMETRIC)
        position = position / (float)scale;
    else
        position = position * (float)(size - 1) / (float)(size * scale > 1 ? size * scale - 1 : 1);
    float limit = (float)(size - 1);
    position = position < 0.0f ? 0.0f : position > limit ? limit : position;
    int64_t below = (int64_t)position;
    int64_t above = below + 1 < size ? below + 1 : below;
    int64_t stride = u->input_strides[axis];
    return (struct sample){below * stride, above * stride, position - (float)below};
}

static inline float mix(float low, float high, float weight)
{
    return low + (high - low) * weight;
}

/* One output pixel from two pixels of each of four rows. */
TARGET_CLONES static void mix_pixel(float *to, const char *const rows[4], struct sample depth,
    struct sample height, struct sample width, int64_t channels)
{
    const float *low[4], *high[4];
    for (int r = 0; r < 4; r++) {
        low[r] = (const float *)(rows[r] + width.below);
        high[r] = (const float *)(rows[r] + width.above);
    }
    for (int64_t c = 0; c < channels; c++) {
        float line[4];
        for (int r = 0; r < 4; r++)
            line[r] = mix(low[r][c], high[r][c], width.weight);
        float near = mix(line[0], line[1], height.weight);
        float far = mix(line[2], line[3], height.weight);
        to[c] = mix(near, far, depth.weight);
    }
}

static void mix_row(
    const struct upsample *u, const char *input, char *output, int64_t depth, int64_t row)
{
    struct sample d = sample_at(u, 0, depth), h = sample_at(u, 1, row);
    const char *const rows[4] = {
        input + d.below + h.below,
        input + d.below + h.above,
        input + d.above + h.below,
        input + d.above + h.above,
    };
    char *to = output + depth * u->output_strides[0] + row * u->output_strides[1];
    int64_t width = u->sizes[2] * u->scales[2];
    for (int64_t i = 0; i < width; i++)
        mix_pixel((float *)(to + i * u->output_strides[2]), rows, d, h, sample_at(u, 2, i),
            u->extra[1]);
}

LAYER_KERNEL(plugrt_upsample_linear)
{
    return run_upsample(args, call, mix_row, 1);
}
