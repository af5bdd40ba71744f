/* Maximum and average pooling in every format: see points_of() in windows.py. */
#include "twin_kernel.h"

#include <math.h>

enum {
    CHUNK = 64,         /* channels of a window handled at once */
    WORTH_A_TASK = 64,  /* channels */
};

struct pooling {
    plugrt_ref input, output;
    int32_t volumes[2];
    int32_t point; /* neighbouring channels */
    int32_t input_size[3], output_size[3];
    int32_t kernel[3], stride[3], dilation[3], before[3], after[3];
    int32_t include_padding;
    int32_t input_zero, output_zero;
    float ratio; /* input scale / output scale */
    int64_t input_stride[5], output_stride[5];
};

/* A window along one axis: its first element inside the input, how many are inside, and how
 * many if the padding counts. */
struct span {
    int32_t first, count, room;
};

static inline int32_t steps_to(int32_t distance, int32_t step)
{
    return distance > 0 ? (distance + step - 1) / step : 0;
}

static inline int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline struct span span_of(const struct pooling *a, int axis, int at)
{
    const int32_t step = a->dilation[axis], size = a->input_size[axis];
    const int32_t start = at * a->stride[axis] - a->before[axis];
    const int32_t skipped = steps_to(-start, step);
    const int32_t end = smaller(a->kernel[axis], steps_to(size - start, step));
    struct span span;
    span.first = start + skipped * step;
    span.count = end > skipped ? end - skipped : 0;
    span.room = smaller(a->kernel[axis], steps_to(size + a->after[axis] - start, step));
    return span;
}

enum { MOST_ELEMENTS = 128 };

/* The elements of a row's windows that lie within the input's columns, by their distance from
 * the first column; none where they are too many. */
struct elements {
    int count;
    int64_t places[MOST_ELEMENTS];
};

static inline void list_elements(
    const struct pooling *a, const struct span spans[2], struct elements *elements)
{
    elements->count = 0;
    if ((int64_t)spans[0].count * spans[1].count * a->kernel[2] > MOST_ELEMENTS)
        return;
    for (int z = 0; z < spans[0].count; z++)
        for (int y = 0; y < spans[1].count; y++)
            for (int x = 0; x < a->kernel[2]; x++)
                elements->places[elements->count++]
                    = (spans[0].first + z * a->dilation[0]) * a->input_stride[2]
                    + (spans[1].first + y * a->dilation[1]) * a->input_stride[3]
                    + x * a->dilation[2] * a->input_stride[4];
}

/* Channels [begin, end) of a row of output points. */
struct row {
    int depth, height, begin, end;
};

typedef void run_row(const struct pooling *, const struct row *, const void *, void *);

static int run(const struct pooling *a, const plugrt_call *call, int64_t bytes, run_row *run_one)
{
    const char *input = plugrt_address(call, a->input);
    char *output = plugrt_address(call, a->output);
    const int64_t depths = a->output_size[0], heights = a->output_size[1];
    const int64_t rows = (int64_t)a->volumes[0] * a->volumes[1] * depths * heights;
    int64_t parts = 1;
    if (rows < 2 * call->thread_count) {
        parts = (a->point + WORTH_A_TASK - 1) / WORTH_A_TASK;
        if (parts > call->thread_count)
            parts = call->thread_count;
    }
    const int64_t width = ((a->point + parts - 1) / parts + 15) / 16 * 16;

#pragma omp parallel for schedule(static) num_threads(call->thread_count)
    for (int64_t task = 0; task < rows * parts; task++) {
        const int64_t begin = task % parts * width;
        if (begin >= a->point)
            continue;
        const int64_t index = task / parts, volume = index / heights / depths;
        const int64_t image = volume / a->volumes[1], part = volume % a->volumes[1];
        const struct row row = {
            .depth = (int)(index / heights % depths),
            .height = (int)(index % heights),
            .begin = (int)begin,
            .end = (int)(begin + width < a->point ? begin + width : a->point),
        };
        const int64_t from = image * a->input_stride[0] + part * a->input_stride[1];
        const int64_t to = image * a->output_stride[0] + part * a->output_stride[1]
            + row.depth * a->output_stride[2] + row.height * a->output_stride[3];
        run_one(a, &row, input + from * bytes, output + to * bytes);
    }
    return 0;
}

static inline float between(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

#define ROUNDED(sum, low, high)                                                              \
    between(rintf(((float)(sum) - shift) * factor) + (float)a->output_zero, low, high)

#define ELEMENT float
#define SUM_ELEMENT float
#define NAME(function) function##_float32
#define LOWEST (-INFINITY)
#define STORE_MEAN(sum) (((sum) - shift) * factor)
#include "pooling_rows.h"

#define ELEMENT int8_t
#define SUM_ELEMENT int32_t
#define NAME(function) function##_int8
#define LOWEST INT8_MIN
#define STORE_MEAN(sum) ((int8_t)(int)ROUNDED(sum, -128.0f, 127.0f))
#include "pooling_rows.h"

#define ELEMENT uint8_t
#define SUM_ELEMENT int32_t
#define NAME(function) function##_uint8
#define LOWEST 0
#define STORE_MEAN(sum) ((uint8_t)(int)ROUNDED(sum, 0.0f, 255.0f))
#include "pooling_rows.h"

TWIN_KERNEL(twins_max_pooling_float32)
{
    return run(args, call, sizeof(float), largest_row_float32);
}

TWIN_KERNEL(twins_max_pooling_int8)
{
    return run(args, call, sizeof(int8_t), largest_row_int8);
}

TWIN_KERNEL(twins_max_pooling_uint8)
{
    return run(args, call, sizeof(uint8_t), largest_row_uint8);
}

TWIN_KERNEL(twins_average_pooling_float32)
{
    return run(args, call, sizeof(float), mean_row_float32);
}

TWIN_KERNEL(twins_average_pooling_int8)
{
    return run(args, call, sizeof(int8_t), mean_row_int8);
}

TWIN_KERNEL(twins_average_pooling_uint8)
{
    return run(args, call, sizeof(uint8_t), mean_row_uint8);
}
