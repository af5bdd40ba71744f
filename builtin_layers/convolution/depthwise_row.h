/* The work on one row of a depthwise convolution.  A template: the including file defines SUFFIX,
 * LANES (floats of a vector) and perhaps GENERAL (to leave the special cases out), and has chosen
 * the instruction set. */
#include "depthwise.h"
#include "float_vectors.h"

#define STEP NAMED(depthwise_step, SUFFIX)
#define CHANNELS NAMED(depthwise_channels, SUFFIX)
#define RUN NAMED(depthwise_run, SUFFIX)
#define STRIP_FUNCTION NAMED(depthwise_strip_function, SUFFIX)

typedef void STRIP_FUNCTION(const struct depthwise_strip *strip);

enum { NAMED(depthwise_points, SUFFIX) = 8 };
#define MOST_POINTS NAMED(depthwise_points, SUFFIX)

/* What is constant where a step is inlined: the type, the window's columns and their stride
 * (columns is 0 where both are known only when running), the points of a step, and whether all
 * windows lie inside the image's columns. */
#define KIND int narrow, int columns, int stride, int points, int inside
#define KIND_PASSED narrow, columns, stride, points, inside

/* `lanes` channels of one step, from `channel` on. */
INLINED void STEP(const struct depthwise_strip *s, KIND, const char *input, const float *weights,
    int channel, char *output, int lanes)
{
    const struct depthwise_arguments *a = s->arguments;
    const int64_t pixel = s->input_pixel, next = s->weights_column;
    const int first = s->column, width = a->input_size[1];
    VECTOR sum[MOST_POINTS], bias = {0};
    if (s->bias != NULL)
        bias = LOAD(s->bias + channel, 0, lanes);
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        sum[p] = bias;
    for (int h = 0; h < s->rows; h++, input += s->input_row) {
        const char *at = input;
        if (columns == 0) {
            for (int w = 0; w < a->kernel[1]; w++, weights += next) {
                const VECTOR weight = LOAD(weights, 0, LANES);
#pragma GCC unroll 8
                for (int p = 0; p < points; p++) {
                    const int i = p * a->stride[1] + w;
                    if ((unsigned)(first + i) < (unsigned)width)
                        sum[p] += LOAD(input + i * pixel, narrow, lanes) * weight;
                }
            }
            continue;
        }
        VECTOR weight[5];
#pragma GCC unroll 5
        for (int w = 0; w < columns; w++, weights += next)
            weight[w] = LOAD(weights, 0, LANES);
#pragma GCC unroll 24
        for (int i = 0; i < (points - 1) * stride + columns; i++, at += pixel) {
            KEEP_ADDRESS(at);
            if (!inside && (unsigned)(first + i) >= (unsigned)width)
                continue;
            VECTOR value = LOAD(at, narrow, lanes);
            KEEP_IN_REGISTER(value);
#pragma GCC unroll 5
            for (int w = 0; w < columns; w++)
                if (w <= i && (i - w) % stride == 0 && (i - w) / stride < points)
                    sum[(i - w) / stride] += value * weight[w];
        }
    }
    ACTIVATE_ALL(&a->epilogue.first, sum, points);
    const int64_t output_pixel = s->output_pixel;
    const int count = s->points;
#pragma GCC unroll 8
    for (int p = 0; p < points; p++)
        if (inside || p < count)
            STORE(output + p * output_pixel, sum[p], narrow, lanes);
}

/* All channels of a strip's steps. */
INLINED void CHANNELS(const struct depthwise_strip *strip, KIND)
{
    const struct depthwise_strip s = *strip; /* nothing that is stored can change it */
    const struct depthwise_arguments a = *s.arguments;
    struct depthwise_strip mine = s;
    mine.arguments = &a;
    const int64_t bytes = narrow ? sizeof(uint16_t) : sizeof(float);
    const char *input = s.input;
    const float *weights = s.weights;
    char *output = s.output;
    const int step = columns == 0 ? a.stride[1] : stride;
    for (int t = 0; t < s.steps; t++) {
        for (int c = 0; c < s.channels; c += LANES) {
            const int left = s.channels - c;
#ifdef __AVX512F__
            STEP(&mine, KIND_PASSED, input + c * bytes, weights + c, c, output + c * bytes,
                left < LANES ? left : LANES);
#else
            if (left >= LANES)
                STEP(&mine, KIND_PASSED, input + c * bytes, weights + c, c, output + c * bytes,
                    LANES);
            else
                STEP(&mine, KIND_PASSED, input + c * bytes, weights + c, c, output + c * bytes,
                    left);
#endif
        }
        input += points * step * s.input_pixel;
        output += points * s.output_pixel;
    }
}

/* A whole row: steps that lie inside with one function, the others with another. */
static void RUN(const struct depthwise_arguments *a, const struct depthwise_row *row,
    int64_t bytes, int points, STRIP_FUNCTION *whole, STRIP_FUNCTION *cut)
{
    const int64_t most = a->pairs ? 2 * CHANNEL_BLOCK : CHANNEL_BLOCK;
    const int64_t channels = (a->channels + most - 1) / most * most;
    const int width = a->output_size[1], stride = a->stride[1];
    const int top = row->row * a->stride[0] - a->before[0];
    const int from = top < 0 ? -top : 0, left = a->input_size[0] - top;
    const int to = left < a->kernel[0] ? left : a->kernel[0];
    struct depthwise_strip strip = {
        .arguments = a,
        .bias = row->bias,
        .weights = a->pairs ? row->weights
                            : (const float *)row->weights + from * a->kernel[1] * channels,
        .input_row = a->input_stride[2] * bytes,
        .input_pixel = a->input_stride[3] * bytes,
        .output_pixel = a->output_stride[3] * bytes,
        .weights_column = a->pairs ? 2 * channels : channels,
        .missing = from,
        .rows = to > from ? to - from : 0,
        .channels = row->channels,
    };
    for (int x = 0; x < width; x += points * strip.steps) {
        const int column = x * stride - a->before[1];
        /* Steps from x on whose last window ends inside, and whose points are all there. */
        const int span = (points - 1) * stride + a->kernel[1];
        const int room = a->input_size[1] - span - column;
        int inside = column < 0 || room < 0 ? 0 : room / (points * stride) + 1;
        if (inside > (width - x) / points)
            inside = (width - x) / points;
        strip.steps = inside > 0 ? inside : 1;
        strip.column = column;
        strip.points = width - x < points ? width - x : points;
        strip.input = row->input
            + ((top + from) * a->input_stride[2] + column * a->input_stride[3]) * bytes;
        strip.output = row->output + x * strip.output_pixel;
        (inside > 0 ? whole : cut)(&strip);
    }
}

#define DEFINE_STRIPS(type, narrow, columns, stride, points)                                 \
    static void NAMED(strip_##type##_##columns##_##stride##_##points, SUFFIX)(               \
        const struct depthwise_strip *strip)                                                 \
    {                                                                                        \
        CHANNELS(strip, narrow, columns, stride, points, 1);                                 \
    }                                                                                        \
    static void NAMED(strip_cut_##type##_##columns##_##stride##_##points, SUFFIX)(           \
        const struct depthwise_strip *strip)                                                 \
    {                                                                                        \
        CHANNELS(strip, narrow, columns, stride, points, 0);                                 \
    }

#define RUN_STRIPS(type, columns, stride, points)                                            \
    RUN(a, row, a->narrow ? sizeof(uint16_t) : sizeof(float), points,                        \
        NAMED(strip_##type##_##columns##_##stride##_##points, SUFFIX),                       \
        NAMED(strip_cut_##type##_##columns##_##stride##_##points, SUFFIX))

/* With as many points per step as waste least at a row's end. */
#define RUN_BEST(type, columns, stride)                                                      \
    do {                                                                                     \
        const int eights = (a->output_size[1] + 7) / 8 * 8;                                  \
        const int sevens = (a->output_size[1] + 6) / 7 * 7;                                  \
        const int fives = (a->output_size[1] + 4) / 5 * 5;                                   \
        if (eights <= sevens && eights <= fives)                                             \
            RUN_STRIPS(type, columns, stride, 8);                                            \
        else if (sevens <= fives)                                                            \
            RUN_STRIPS(type, columns, stride, 7);                                            \
        else                                                                                 \
            RUN_STRIPS(type, columns, stride, 5);                                            \
    } while (0)

#define DEFINE_BEST(type, narrow, columns, stride)                                           \
    DEFINE_STRIPS(type, narrow, columns, stride, 8)                                          \
    DEFINE_STRIPS(type, narrow, columns, stride, 7)                                          \
    DEFINE_STRIPS(type, narrow, columns, stride, 5)

#ifdef GENERAL
#define DEFINE_ROW(name, type, narrow)                                                       \
    DEFINE_STRIPS(type, narrow, 0, 0, 8)                                                     \
    void NAMED(name, SUFFIX)(                                                                \
        const struct depthwise_arguments *a, const struct depthwise_row *row)                \
    {                                                                                        \
        RUN(a, row, narrow ? sizeof(uint16_t) : sizeof(float), 8,                            \
            NAMED(strip_##type##_0_0_8, SUFFIX),                                             \
            NAMED(strip_cut_##type##_0_0_8, SUFFIX));                                        \
    }
#else
#define DEFINE_ROW(name, type, narrow)                                                       \
    DEFINE_BEST(type, narrow, 3, 1)                                                          \
    DEFINE_BEST(type, narrow, 3, 2)                                                          \
    DEFINE_BEST(type, narrow, 5, 1)                                                          \
    DEFINE_BEST(type, narrow, 5, 2)                                                          \
    DEFINE_STRIPS(type, narrow, 0, 0, 8)                                                     \
    void NAMED(name, SUFFIX)(                                                                \
        const struct depthwise_arguments *a, const struct depthwise_row *row)                \
    {                                                                                        \
        const int columns = a->kernel[1], stride = a->stride[1];                             \
        if (columns == 3 && stride == 1)                                                     \
            RUN_BEST(type, 3, 1);                                                            \
        else if (columns == 3 && stride == 2)                                                \
            RUN_BEST(type, 3, 2);                                                            \
        else if (columns == 5 && stride == 1)                                                \
            RUN_BEST(type, 5, 1);                                                            \
        else if (columns == 5 && stride == 2)                                                \
            RUN_BEST(type, 5, 2);                                                            \
        else                                                                                 \
            RUN_STRIPS(type, 0, 0, 8);                                                       \
    }
#endif

DEFINE_ROW(plugrt_depthwise_float32, float, 0)
DEFINE_ROW(plugrt_depthwise_bfloat16, uint16_t, 1)
