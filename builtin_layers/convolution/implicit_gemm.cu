/* Convolution of channels-last 16-bit floats on Hopper's tensor cores: output channels x (window x
 * channels) times (window x channels) x output points.
 *
 * A block computes 64 channels per warpgroup of a tile of POINTS points. The piece of the input
 * under the tile comes into shared memory once for each chunk of CHUNK channels: every tap of the
 * window reads it there, shifted. Weights come packed as the instruction takes them, by bulk copies
 * into a ring. SPLIT blocks of a cluster share the sum over the chunks: small images have too few
 * tiles to keep a GPU busy. The order of every sum depends on neither the batch nor the place. */
#include "storage.cuh"
#include "cluster_sums.cuh"
#include "dependency.cuh"
#include "epilogue.cuh"
#include "implicit_gemm.cuh"
#include "matrix_instructions.cuh"
#include "transaction_barrier.cuh"
#include "warpgroup_product.cuh"

using namespace plugrt;

constexpr int STEP = 16;          /* channels that one instruction sums over */
constexpr int MATRIX = 64 * STEP; /* elements of the weights of such a step */
constexpr int LOADERS = 96;       /* threads that load the input; a warp loads the weights */
constexpr int BARRIERS = 512;     /* bytes for all barriers */

template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int TAPS, int WIDTH, int SPLIT>
__device__ __forceinline__ void convolve(const T *input, const T *__restrict__ weights, U *output,
    const Sizes &size, const Tile &tile, const Shifts &shift, const Strides &from,
    const Strides &to, const Epilogue &epilogue)
{
    constexpr int PRODUCERS = GROUPS * 128, THREADS = PRODUCERS + 128;
    constexpr int OUTPUTS = GROUPS * 64, PER_TAP = CHUNK / STEP, STEPS = TAPS * PER_TAP;
    constexpr int STAGE = STEPS * MATRIX * 2; /* bytes of weights for one warpgroup */
    extern __shared__ __align__(128) unsigned char room[];
    const unsigned base = shared_address(room), factors = base + BARRIERS;
    const unsigned pieces = factors + size.weight_stages * GROUPS * STAGE;
    const unsigned piece_bytes = CHUNK / 8 * tile.slots * 16;
    int *const offsets = reinterpret_cast<int *>(
        room + BARRIERS + size.weight_stages * GROUPS * STAGE + size.input_stages * piece_bytes);
    const unsigned weights_full = base, weights_free = weights_full + 8 * size.weight_stages;
    const unsigned input_full = weights_free + 8 * size.weight_stages;
    const unsigned input_free = input_full + 8 * size.input_stages;
    const unsigned begun = input_free + 8 * size.input_stages;
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;

    /* The stages of the sum that are this block's, and the chunks that they are of. */
    const int rank = SPLIT > 1 ? blockIdx.z : 0, stages = size.chunks * size.chunk_stages;
    const int begin = rank * stages / SPLIT, end = (rank + 1) * stages / SPLIT;
    const int first = SPLIT > 1 ? begin / size.chunk_stages : 0;
    const int last = SPLIT > 1 ? (end - 1) / size.chunk_stages + 1 : size.chunks;

    const int n0 = blockIdx.y * OUTPUTS;
    const int image0 = blockIdx.x / (tile.down * tile.across) * tile.images;
    const int place = blockIdx.x % (tile.down * tile.across);
    const int y0 = place / tile.across * tile.rows, x0 = place % tile.across * tile.columns;

    if (lane == 0) { /* a warp sets one after the other, so each sets a few */
        for (unsigned at = weights_full + 8 * warp; at <= begun; at += 8 * THREADS / 32)
            set_barrier(at,
                at < weights_free                     ? 1
                    : at < input_full                 ? PRODUCERS / 32
                    : at >= input_free && at != begun ? PRODUCERS / 32
                                                      : LOADERS);
        publish_barriers();
    }
    /* Where each slot's point lies in the input. */
    for (unsigned slot = thread; slot < tile.slots; slot += THREADS) {
        unsigned rest = slot;
        const int column = tile.pitch.split(rest), line = tile.image_rows.split(rest);
        const int image = tile.plane_images.split(rest);
        const int plane_across = tile.planes_across.split(rest);
        const int y = (y0 + line) * size.strides[0] - size.before[0] + rest;
        const int x = (x0 + column) * size.strides[1] - size.before[1] + plane_across;
        const bool valid = image0 + image < size.images
            && static_cast<unsigned>(y) < size.input[0]
            && static_cast<unsigned>(x) < size.input[1];
        offsets[slot] = valid
            ? static_cast<int>((image * from.of[0] + y * from.of[2] + x * from.of[3]) / 8) : -1;
    }
    __syncthreads();

    float total[POINTS / 2];
    if (warp == (PRODUCERS + LOADERS) / 32) {
        /* Weights are constant: they come while what precedes still runs. */
        if (lane == 0) {
            Ring ring = {size.weight_stages, 0, 1};
            const long long row = static_cast<long long>(stages) * STEPS * MATRIX;
            const T *from_here = weights + blockIdx.y * GROUPS * row
                + static_cast<long long>(begin) * STEPS * MATRIX;
            for (int k = 0; k < end - begin; k++) {
                if (k == 1) /* the input is wanted before the other stages */
                    await(begun, 0);
                if (k >= size.weight_stages)
                    await(weights_free + 8 * ring.at, ring.parity);
                const unsigned full = weights_full + 8 * ring.at;
                expect_bytes(full, GROUPS * STAGE);
#pragma unroll
                for (int group = 0; group < GROUPS; group++)
                    copy_bulk(factors + (ring.at * GROUPS + group) * STAGE,
                        from_here + group * row, STAGE, full);
                from_here += STEPS * MATRIX;
                ring.advance();
            }
        }
    } else if (warp >= PRODUCERS / 32) {
        await_predecessors();
        constexpr int ACROSS = CHUNK / 8, APART = LOADERS / ACROSS, AT_ONCE = 8;
        const int loader = thread - PRODUCERS, group = loader % ACROSS;
        const T *const start = input + image0 * from.of[0];
        Ring ring = {size.input_stages, 0, 1};
        for (int chunk = first; chunk < last; chunk++) {
            if (chunk - first >= size.input_stages)
                await(input_free + 8 * ring.at, ring.parity);
            const int channel = chunk * CHUNK + group * 8;
            const bool exists = channel < size.channels;
            const T *const from_here = start + channel;
            const unsigned there = pieces + ring.at * piece_bytes + group * tile.slots * 16;
            for (unsigned slot = loader / ACROSS; slot < tile.slots; slot += AT_ONCE * APART) {
                int offset[AT_ONCE]; /* copies may not be begun before loads ahead of them */
#pragma unroll
                for (int k = 0; k < AT_ONCE; k++)
                    offset[k] = slot + k * APART < tile.slots ? offsets[slot + k * APART] : -1;
#pragma unroll
                for (int k = 0; k < AT_ONCE; k++) {
                    if (slot + k * APART >= tile.slots)
                        break;
                    const bool valid = exists && offset[k] >= 0;
                    copy_async(there + (slot + k * APART) * 16,
                        valid ? from_here + static_cast<long long>(offset[k]) * 8 : input, valid);
                }
            }
            arrive_when_copied(input_full + 8 * ring.at);
            if (chunk == first)
                arrive(begun);
            ring.advance();
        }
    } else {
        const int member = warp / 4;
#pragma unroll
        for (int k = 0; k < POINTS / 2; k++)
            total[k] = 0.0f;
        Ring ring = {size.weight_stages, 0, 0}, piece = {size.input_stages, 0, 0};
        Ring done = ring;
        const Factor factor_a(factors + member * STAGE, MATRIX / 8 / 2, 8);
        const Factor factor_b(pieces, tile.slots, tile.group_pitch);
        int before = -1; /* the piece whose last products were begun in the stage before */
        int count = begin; /* of stages, ahead of this one */
        for (int chunk = first; chunk < last; chunk++) {
            await(input_full + 8 * piece.at, piece.parity);
            show_to_products();
            const unsigned there = piece.at * (piece_bytes / 16);
            const int until = min(end, (chunk + 1) * size.chunk_stages);
            int tap = (count - chunk * size.chunk_stages) * TAPS;
            for (; count < until; count++) {
                unsigned points[TAPS];
#pragma unroll
                for (int k = 0; k < TAPS; k++)
                    points[k] = there + shift.of[tap + k];
                tap += TAPS;
                const unsigned here = ring.at * (GROUPS * STAGE / 16);
                await(weights_full + 8 * ring.at, ring.parity);
                begin_products();
#pragma unroll
                for (int k = 0; k < STEPS; k++)
                    WarpgroupProduct<T>::add(total, factor_a.at(here + k * (MATRIX * 2 / 16)),
                        factor_b.at(points[k / PER_TAP] + k % PER_TAP * 2 * tile.slots));
                end_products();
                await_products<1>(); /* those of the stage before */
                if (lane == 0 && count > begin)
                    arrive(weights_free + 8 * done.at);
                if (lane == 0 && before >= 0)
                    arrive(input_free + 8 * before);
                before = -1;
                if (count > begin)
                    done.advance();
                ring.advance();
            }
            before = piece.at;
            piece.advance();
        }
        await_products<0>();
        settle(total);
    }
    __syncthreads();

    /* Sums pass through shared memory, so that a thread ends with neighbouring elements. */
    constexpr int LINE = OUTPUTS + 4;
    float *const sums = reinterpret_cast<float *>(room + BARRIERS);
    if (warp < PRODUCERS / 32) {
        float *const at = sums + lane % 4 * 2 * LINE + warp * 16 + lane / 4;
#pragma unroll
        for (int k = 0; k < POINTS / 2; k++)
            at[(k / 4 * 8 + k % 2) * LINE + k / 2 % 2 * 8] = total[k];
    }
    /* Blocks of a cluster take equal shares: reading from others is slow. */
    constexpr int ACROSS = OUTPUTS / WIDTH, SHARE = (POINTS + SPLIT - 1) / SPLIT * ACROSS;
    constexpr int MOST = WIDTH == 1 ? 4 : 2, TURNS = (SHARE + THREADS - 1) / THREADS;
    constexpr int TOGETHER = TURNS < MOST ? TURNS : MOST; /* so that their loads overlap */
    const bool along_points = WIDTH == 1 && to.of[1] != 1;
    auto locate = [&](int turn) {
        const unsigned part = turn * THREADS + thread, item = rank * SHARE + part;
        Item found;
        found.point = along_points ? item % POINTS : item / ACROSS;
        found.own = along_points ? item / POINTS : item % ACROSS * WIDTH;
        unsigned line = found.point;
        const unsigned column = tile.row_points.split(line);
        const unsigned row = tile.image_rows.split(line), image = line;
        found.image = image0 + image, found.channel = n0 + found.own;
        found.y = y0 + row, found.x = x0 + column;
        found.exists = part < SHARE && item < POINTS * ACROSS && row < tile.rows
            && column < tile.columns && found.y < size.output[0] && found.x < size.output[1]
            && found.channel < size.outputs && image < tile.images && found.image < size.images;
        if (!found.exists)
            found = Item{0, 0, image0, n0, y0, x0, false};
        return found;
    };
    await_predecessors();
    Item items[TOGETHER];
    Epilogue::Operands operands[TOGETHER];
    auto ask = [&](int turn) {
#pragma unroll
        for (int k = 0; k < TOGETHER; k++) {
            const Item &at = items[k] = locate(turn + k);
            epilogue.fetch(operands[k], WIDTH, at.image, at.channel, 0, at.y, at.x);
        }
    };
    ask(0);
    if (SPLIT > 1)
        cluster_barrier();
    else
        __syncthreads();
#pragma unroll 1
    for (int turn = 0; turn < TURNS; turn += TOGETHER) {
        if (turn > 0)
            ask(turn);
#pragma unroll
        for (int k = 0; k < TOGETHER; k++) {
            const Item &at = items[k];
            if (!at.exists)
                continue;
            float values[WIDTH];
            sum<SPLIT, WIDTH>(sums + at.point * LINE + at.own, values);
            epilogue.finish(values, operands[k]);
            store<U, float, WIDTH>(output + at.image * to.of[0] + at.channel * to.of[1]
                    + at.y * to.of[2] + at.x * to.of[3],
                values);
        }
    }
    if (SPLIT > 1)
        cluster_barrier(); /* others read this block's sums */
}

#define PARAMETERS                                                                            \
    const T *input, const T *__restrict__ weights, U *output, const __grid_constant__ Sizes size,  \
        const __grid_constant__ Tile tile, const __grid_constant__ Shifts shift,               \
        const __grid_constant__ Strides from, const __grid_constant__ Strides to EPILOGUE_PARAMETERS
#define ARGUMENTS input, weights, output, size, tile, shift, from, to

/* Blocks that one processor is to take at once. */
template <int POINTS, int GROUPS> constexpr int together = GROUPS == 1 && POINTS <= 200 ? 2 : 1;

template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int TAPS, int WIDTH>
__global__ void __launch_bounds__(GROUPS * 128 + 128, together<POINTS, GROUPS>)
    implicit_gemm(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, POINTS, GROUPS, CHUNK, TAPS, WIDTH, 1>(ARGUMENTS, epilogue);
}

/* SPLIT blocks along z share a sum. */
template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int TAPS, int WIDTH, int SPLIT>
__global__ void __cluster_dims__(1, 1, SPLIT)
    __launch_bounds__(GROUPS * 128 + 128, together<POINTS, GROUPS>) implicit_gemm_split(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, POINTS, GROUPS, CHUNK, TAPS, WIDTH, SPLIT>(ARGUMENTS, epilogue);
}
