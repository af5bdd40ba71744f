/* Winograd convolution: how the work is cut and shared out. */
#include "winograd.h"

#include <omp.h>

/* The functions for one tile size and this processor. */
struct functions {
    winograd_input_function *input;
    winograd_product_function *product;
    winograd_output_function *output;
};

static struct functions functions_for(int tile, int is_narrow)
{
#if defined(__x86_64__)
    if (is_narrow)
        return (struct functions){plugrt_winograd_input_narrow,
            plugrt_winograd_product_avx512_bf16, plugrt_winograd_output_2_avx512_bf16};
#else
    (void)is_narrow;
#endif
    return tile == 4 ? (struct functions){BEST_OF(plugrt_winograd_input_4),
               BEST_OF(plugrt_winograd_product), BEST_OF(plugrt_winograd_output_4)}
                     : (struct functions){BEST_OF(plugrt_winograd_input_2),
                         BEST_OF(plugrt_winograd_product), BEST_OF(plugrt_winograd_output_2)};
}

/* A run of tiles as chunks of nearly equal sizes. */
struct block {
    int64_t first, tiles;
    int chunks;
    float *transformed;
};

static struct block block_of(int64_t tiles, int64_t index, int64_t count, float *transformed)
{
    const int64_t begin = tiles * index / count, end = tiles * (index + 1) / count;
    return (struct block){
        .first = begin,
        .tiles = end - begin,
        .chunks = (int)((end - begin + WINOGRAD_CHUNK - 1) / WINOGRAD_CHUNK),
        .transformed = transformed,
    };
}

static struct winograd_chunk chunk_of(
    const struct winograd_call *call, const struct block *block, int index)
{
    const int64_t begin = block->tiles * index / block->chunks;
    const int64_t end = block->tiles * (index + 1) / block->chunks;
    return (struct winograd_chunk){
        .first = block->first + begin,
        .rows = (int)(end - begin),
        .transformed = block->transformed
            + (int64_t)index * call->positions * call->blocks * WINOGRAD_POSITION,
    };
}

/* The input transform's part of one member of a team, in tiles. */
static void transform(const struct winograd_call *call, const struct functions *functions,
    const struct block *block, int member, int team)
{
    const int64_t begin = block->tiles * member / team;
    const int64_t end = block->tiles * (member + 1) / team;
    for (int index = 0; index < block->chunks; index++) {
        const struct winograd_chunk chunk = chunk_of(call, block, index);
        const int64_t before = chunk.first - block->first;
        const int64_t from = begin > before ? begin - before : 0;
        const int64_t to = end - before < chunk.rows ? end - before : chunk.rows;
        if (from < to)
            functions->input(call, &chunk, (int)from, (int)to);
    }
}

/* The products of a chunk with one panel, and the outputs from them. Returns a status. */
static int multiply(const struct winograd_call *call, const struct functions *functions,
    const struct winograd_chunk *chunk, int panel, float *product)
{
    const struct winograd_arguments *a = call->arguments;
    const int channel = panel * WINOGRAD_PANEL, left = a->outputs - channel;
    const int width = winograd_width(a->outputs, channel);
    const int64_t next_block = (int64_t)call->positions * WINOGRAD_POSITION;
    const float *weights = call->weights + (int64_t)channel * call->positions * call->depth;
    for (int position = 0; position < call->positions; position++) {
        functions->product(chunk->transformed + position * WINOGRAD_POSITION, next_block, weights,
            product + position * WINOGRAD_PRODUCT, call->depth, chunk->rows, width);
        weights += (int64_t)call->depth * width;
    }
    functions->output(call, chunk, product, channel, width);
    return plugrt_winograd_finish(call, chunk, channel, left < width ? left : width);
}

/* One member's part of the products of a transformed block. Returns a status. */
static int multiply_block(const struct winograd_call *call, const struct functions *functions,
    const struct block *block, float *product, int member, int team)
{
    const int panels = (call->arguments->outputs + WINOGRAD_PANEL - 1) / WINOGRAD_PANEL;
    const int64_t tasks = (int64_t)panels * block->chunks;
    const int64_t last = tasks * (member + 1) / team;
    int status = 0;
    for (int64_t task = tasks * member / team; task < last; task++) {
        const struct winograd_chunk chunk = chunk_of(call, block, (int)(task % block->chunks));
        status |= multiply(call, functions, &chunk, (int)(task / block->chunks), product);
    }
    return status;
}

/* The blocks that a member of the team takes first: neighbours, and the same ones at every call, so
 * that it finds the inputs in its own cache.  Who has none left helps the others. */
struct share {
    _Alignas(64) int64_t next;
    int64_t end;
};

/* The next block for a member; -1 where there is none. */
static int64_t claim(struct share *shares, int member, int team)
{
    for (int k = 0; k < team; k++) {
        struct share *share = &shares[(member + k) % team];
        int64_t index;
#pragma omp atomic capture
        index = share->next++;
        if (index < share->end)
            return index;
    }
    return -1;
}

LAYER_KERNEL(plugrt_convolution_winograd)
{
    const struct winograd_arguments *a = args;
    const struct functions functions = functions_for(a->tile, a->is_narrow);
    const int depth = winograd_depth(a->channels, a->is_narrow);
    struct winograd_call state = {
        .arguments = a,
        .input = plugrt_address(call, a->input),
        .weights = plugrt_address(call, a->weights),
        .bias = a->has_bias ? plugrt_address(call, a->bias) : NULL,
        .tensors = plugrt_epilogue_tensors(&a->epilogue, call),
        .output = plugrt_address(call, a->output),
        .positions = (a->tile + 2) * (a->tile + 2),
        .depth = depth,
        .blocks = (depth + WINOGRAD_BLOCK - 1) / WINOGRAD_BLOCK,
        .tile_rows = (a->output_size[0] + a->tile - 1) / a->tile,
        .tile_columns = (a->output_size[1] + a->tile - 1) / a->tile,
    };
    const int64_t tiles = (int64_t)a->batch * state.tile_rows * state.tile_columns;
    const int64_t count = (tiles + a->block_tiles - 1) / a->block_tiles;
    const int64_t chunks = (a->block_tiles + WINOGRAD_CHUNK - 1) / WINOGRAD_CHUNK;
    const int64_t transformed_size
        = chunks * state.positions * state.blocks * WINOGRAD_POSITION;
    const int64_t product_size = (int64_t)state.positions * WINOGRAD_PRODUCT;
    float *workspace = plugrt_address(call, a->workspace);
    const int threads = call->thread_count < a->threads ? call->thread_count : a->threads;

    struct share shares[threads];
    for (int member = 0; member < threads; member++)
        shares[member] = (struct share){
            .next = count * member / threads, .end = count * (member + 1) / threads};
    int status = 0;

#pragma omp parallel num_threads(threads) reduction(| : status)
    {
        const int member = omp_get_thread_num(), team = omp_get_num_threads();
        if (a->is_shared) {
            float *product = workspace + transformed_size + member * product_size;
            for (int64_t index = 0; index < count; index++) {
                const struct block block = block_of(tiles, index, count, workspace);
                transform(&state, &functions, &block, member, team);
#pragma omp barrier
                status |= multiply_block(&state, &functions, &block, product, member, team);
#pragma omp barrier
            }
        } else {
            float *mine = workspace + member * (transformed_size + product_size);
            int64_t index;
            while ((index = claim(shares, member, threads)) >= 0) {
                const struct block block = block_of(tiles, index, count, mine);
                transform(&state, &functions, &block, 0, 1);
                status |= multiply_block(
                    &state, &functions, &block, mine + transformed_size, 0, 1);
            }
        }
    }
    return status;
}
