/* A 1x1 convolution (or none), a depthwise one and another 1x1 convolution, band by band: a few
 * rows of what lies between them are in the second-level cache, and never reach memory.
 *
 * All tensors are channels-last, of float32 or bfloat16.  Every thread computes a range of rows of
 * the outputs, in bands.  The rows of the expanded input that a band and the next both see are
 * moved to the buffer's beginning; those that two threads see are computed twice. */
#include "convolution/depthwise.h"
#include "convolution/product.h"

#include <omp.h>
#include <string.h>

struct separable_arguments {
    plugrt_ref input, weights, bias, output; /* weights and bias of the last convolution */
    plugrt_ref expansion_weights, expansion_bias, depthwise_weights, depthwise_bias, workspace;
    int32_t expands; /* whether there is a first convolution */
    int32_t narrow; /* bfloat16 */
    int32_t pairs; /* and products are of pairs */
    int32_t threads; /* at most, the workspace is for so many */
    int32_t batch, channels[3]; /* of the input, between, of the output */
    int32_t input_size[2], output_size[2];
    int32_t kernel[2], stride[2], before[2];
    int32_t band_rows; /* of outputs */
    int64_t input_stride[3], output_stride[3]; /* image, row, pixel; in elements */
    int64_t expanded_bytes, filtered_bytes; /* of the buffers of one thread */
    struct activation expansion, filter;
    struct block_epilogue epilogue;
};

enum { CHANNELS_AT_ONCE = 256 }; /* of the depthwise convolution: their weights stay near */

/* What a thread works with. */
struct worker {
    const struct separable_arguments *a;
    const plugrt_call *call;
    struct depthwise_arguments depthwise;
    depthwise_row_function *filter;
    product_function *multiply;
    struct epilogue_tensors tensors;
    int64_t bytes; /* of an element */
    char *expanded, *filtered;
    int64_t first, last; /* rows of the input that `expanded` holds, [first, last) */
};

/* Computes rows [from, to) of the expanded input and puts them to `output`. */
static void expand(const struct worker *w, const char *image, int64_t from, int64_t to, char *output)
{
    const struct separable_arguments *a = w->a;
    const int64_t width = a->input_size[1], pixel = a->input_stride[2];
    const int joined = a->input_stride[1] == width * pixel;
    struct product work = {
        .weights = plugrt_address(w->call, a->expansion_weights),
        .bias = plugrt_address(w->call, a->expansion_bias),
        .input_pixel = pixel * w->bytes,
        .output_pixel = a->channels[1] * w->bytes,
        .narrow = a->narrow, .pairs = a->pairs, .narrows = a->narrow,
        .points = (int)(joined ? width * (to - from) : width),
        .inputs = a->channels[0], .outputs = a->channels[1],
        .first = &a->expansion, .second = &a->expansion,
    };
    for (int64_t row = from; row < to; row += joined ? to - from : 1) {
        work.input = image + row * a->input_stride[1] * w->bytes;
        work.output = output + (row - from) * width * work.output_pixel;
        w->multiply(&work);
    }
}

/* Makes `expanded` hold rows [from, to) of the input. */
static void slide(struct worker *w, const char *image, int64_t from, int64_t to)
{
    const int64_t row_bytes = (int64_t)w->a->input_size[1] * w->a->channels[1] * w->bytes;
    int64_t kept = 0;
    if (from >= w->first && from < w->last) {
        kept = (w->last < to ? w->last : to) - from;
        memmove(w->expanded, w->expanded + (from - w->first) * row_bytes,
            (size_t)(kept * row_bytes));
    }
    if (from + kept < to)
        expand(w, image, from + kept, to, w->expanded + kept * row_bytes);
    w->first = from;
    w->last = to;
}

/* Rows [from, to) of one image's outputs. */
static int band(struct worker *w, int64_t image, int64_t from, int64_t to)
{
    const struct separable_arguments *a = w->a;
    const char *input = (const char *)plugrt_address(w->call, a->input)
        + image * a->input_stride[0] * w->bytes;
    if (a->expands) {
        const int64_t top = from * a->stride[0] - a->before[0];
        const int64_t end = (to - 1) * a->stride[0] - a->before[0] + a->kernel[0];
        const int64_t least = top > 0 ? top : 0;
        const int64_t most = end < a->input_size[0] ? end : a->input_size[0];
        if (least < most)
            slide(w, input, least, most);
        input = w->expanded - least * w->depthwise.input_stride[2] * w->bytes;
    }
    const int64_t width = a->output_size[1], between = a->channels[1];
    const char *weights = plugrt_address(w->call, a->depthwise_weights);
    const float *bias = plugrt_address(w->call, a->depthwise_bias);
    const int64_t weight_bytes = a->pairs ? 2 * sizeof(uint16_t) : sizeof(float);
    for (int64_t channel = 0; channel < between; channel += CHANNELS_AT_ONCE)
        for (int64_t row = from; row < to; row++) {
            const int64_t left = between - channel;
            const struct depthwise_row work = {
                .input = input + channel * w->bytes,
                .weights = weights + channel * weight_bytes,
                .bias = bias + channel,
                .output = w->filtered + ((row - from) * width * between + channel) * w->bytes,
                .row = (int)row,
                .channels = (int)(left < CHANNELS_AT_ONCE ? left : CHANNELS_AT_ONCE),
            };
            w->filter(&w->depthwise, &work);
        }
    char *output = plugrt_address(w->call, a->output);
    const int64_t *added_stride = a->epilogue.stride[0];
    struct product work = {
        .weights = plugrt_address(w->call, a->weights),
        .bias = plugrt_address(w->call, a->bias),
        .input_pixel = between * w->bytes,
        .output_pixel = a->output_stride[2] * w->bytes,
        .added_pixel = added_stride[3] * w->bytes,
        .narrow = a->narrow, .pairs = a->pairs, .narrows = a->narrow, .fetches = 1,
        .points = (int)width,
        .inputs = a->channels[1], .outputs = a->channels[2],
        .first = &a->epilogue.first, .second = &a->epilogue.second,
    };
    const int joined = a->output_stride[1] == width * a->output_stride[2]
        && (!a->epilogue.adds_operand || added_stride[2] == width * added_stride[3]);
    if (joined)
        work.points = (int)(width * (to - from));
    for (int64_t row = from; row < to; row += joined ? to - from : 1) {
        work.input = w->filtered + (row - from) * width * work.input_pixel;
        work.output
            = output + (image * a->output_stride[0] + row * a->output_stride[1]) * w->bytes;
        if (a->epilogue.adds_operand)
            work.added = w->tensors.operand[0]
                + (image * added_stride[0] + row * added_stride[2]) * w->bytes;
        w->multiply(&work);
    }
    const struct epilogue_region region = {
        .image = image, .row = (int)from, .rows = (int)(to - from), .columns = (int)width,
        .channels = a->channels[2],
    };
    const int64_t stride[4]
        = {a->output_stride[0], CHANNEL_BLOCK, a->output_stride[1], a->output_stride[2]};
    return plugrt_run_epilogue(&a->epilogue, &w->tensors, output, stride, &region);
}

static struct worker new_worker(const struct separable_arguments *a, const plugrt_call *call)
{
    struct worker w = {
        .a = a,
        .call = call,
        .multiply = plugrt_product_best(a->pairs),
        .filter = a->narrow ? BEST_WITH_BF16(plugrt_depthwise_bfloat16)
                            : BEST_OF(plugrt_depthwise_float32),
        .tensors = plugrt_epilogue_tensors(&a->epilogue, call),
        .bytes = a->narrow ? sizeof(uint16_t) : sizeof(float),
    };
    struct depthwise_arguments *d = &w.depthwise;
    d->has_bias = 1;
    d->narrow = a->narrow;
    d->pairs = a->pairs;
    d->channels = a->channels[1];
    for (int i = 0; i < 2; i++) {
        d->input_size[i] = a->input_size[i];
        d->output_size[i] = a->output_size[i];
        d->kernel[i] = a->kernel[i];
        d->stride[i] = a->stride[i];
        d->before[i] = a->before[i];
    }
    d->input_stride[3] = a->expands ? a->channels[1] : a->input_stride[2];
    d->input_stride[2] = a->expands ? (int64_t)a->input_size[1] * a->channels[1]
                                    : a->input_stride[1];
    d->output_stride[3] = a->channels[1];
    d->epilogue.first = a->filter;
#if defined(__x86_64__)
    if (a->pairs)
        w.filter = plugrt_depthwise_pairs_avx512_bf16;
#endif
    return w;
}

LAYER_KERNEL(plugrt_separable_convolution)
{
    const struct separable_arguments *a = args;
    char *workspace = plugrt_address(call, a->workspace);
    const int threads = call->thread_count < a->threads ? call->thread_count : a->threads;
    const int64_t rows = a->output_size[0], all = a->batch * rows;
    int status = 0;

#pragma omp parallel num_threads(threads) reduction(| : status)
    {
        const int64_t team = omp_get_num_threads(), me = omp_get_thread_num();
        struct worker worker = new_worker(a, call);
        worker.expanded = workspace + me * (a->expanded_bytes + a->filtered_bytes);
        worker.filtered = worker.expanded + a->expanded_bytes;
        const int64_t end = all * (me + 1) / team;
        for (int64_t next, row = all * me / team; row < end; row = next) {
            const int64_t image = row / rows, from = row % rows;
            next = row + a->band_rows < end ? row + a->band_rows : end;
            if (next > (image + 1) * rows)
                next = (image + 1) * rows;
            if (from == 0)
                worker.last = 0;
            status |= band(&worker, image, from, from + next - row);
        }
    }
    return status;
}
