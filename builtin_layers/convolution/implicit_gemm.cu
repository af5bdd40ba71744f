/* Convolution of channels-last 16-bit floats on Hopper's tensor cores: output channels x (window x
 * channels) times (window x channels) x output points.
 *
 * A block computes 64 channels per warpgroup of a tile of POINTS points. The piece of the input
 * under the tile comes into shared memory once for each chunk of CHUNK channels: every tap of the
 * window reads it there, shifted. Weights come packed as the instruction takes them, by bulk copies
 * into a ring. SPLIT blocks of a cluster share the sum over the chunks: small images have too few
 * tiles to keep a GPU busy. The order of every sum depends on neither the batch nor the place. */
#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "epilogue.cuh"
#include "matrix_instructions.cuh"
#include "transaction_barrier.cuh"
#include "warpgroup_product.cuh"

using namespace plugrt;

constexpr int STEP = 16;          /* channels that one instruction sums over */
constexpr int MATRIX = 64 * STEP; /* elements of the weights of such a step */
constexpr int LOADERS = 96;       /* threads that load the input; a warp loads the weights */
constexpr int BARRIERS = 512;     /* bytes for all barriers */
constexpr int MOST_TAPS = 32;

struct Strides {
    long long of[4]; /* images, channels, rows, points */
};
struct Shifts {
    int of[MOST_TAPS]; /* by tap, how many slots away its points lie */
};
struct Tile {
    int images, rows, columns; /* of the output */
    int down, across;          /* tiles of an image */
    int planes_across;         /* of the input, each with every so many-th point */
    int image_rows, pitch;     /* of an image in a plane: rows, and slots from one to the next */
    int slots;                 /* of a chunk: odd, so that no two banks meet */
    int group_pitch;           /* slots from eight points to the next eight */
    int row_points;            /* points from row to row, as the instruction counts them */
};
struct Sizes {
    int images, channels, outputs, input[2], output[2], strides[2], before[2];
    int chunks, taps, input_stages, weight_stages;
};

__device__ __forceinline__ void cluster_barrier()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* Four floats at an address of shared memory of block `rank` of the cluster. */
__device__ __forceinline__ float4 load_from_block(unsigned address, unsigned rank)
{
    float4 found;
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
        : "=f"(found.x), "=f"(found.y), "=f"(found.z), "=f"(found.w)
        : "r"(there)
        : "memory");
    return found;
}

__device__ __forceinline__ float load_one_from_block(unsigned address, unsigned rank)
{
    float found;
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(found) : "r"(there) : "memory");
    return found;
}

/* What the instruction is told of a factor: where it begins, and how many 16 bytes lie between
 * eight channels and the next eight, and between eight rows and the next eight. */
__device__ __forceinline__ unsigned long long factor(
    unsigned address, unsigned channels_apart, unsigned rows_apart)
{
    return static_cast<unsigned long long>(address >> 4)
        | static_cast<unsigned long long>(channels_apart) << 16
        | static_cast<unsigned long long>(rows_apart) << 32;
}

/* A place in a ring, and whether barriers have turned an odd number of times. */
struct Ring {
    int size, at;
    unsigned parity;
    __device__ __forceinline__ void advance()
    {
        if (++at == size) {
            at = 0;
            parity ^= 1;
        }
    }
};

template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int STEPS, int WIDTH, int SPLIT>
__device__ __forceinline__ void convolve(const T *input, const T *__restrict__ weights, U *output,
    const Sizes &size, const Tile &tile, const Shifts &shift, const Strides &from,
    const Strides &to, const Epilogue &epilogue)
{
    constexpr int PRODUCERS = GROUPS * 128, THREADS = PRODUCERS + 128;
    constexpr int OUTPUTS = GROUPS * 64, PER_TAP = CHUNK / STEP;
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
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int rank = SPLIT > 1 ? blockIdx.z : 0;
    const int first = rank * size.chunks / SPLIT, last = (rank + 1) * size.chunks / SPLIT;
    const int steps_of_chunk = size.taps * PER_TAP;
    const int stages_of_chunk = steps_of_chunk / STEPS;

    release_successors();
    if (thread == 0) {
        for (int k = 0; k < size.weight_stages; k++) {
            set_barrier(weights_full + 8 * k, 1);
            set_barrier(weights_free + 8 * k, PRODUCERS / 32);
        }
        for (int k = 0; k < size.input_stages; k++) {
            set_barrier(input_full + 8 * k, LOADERS);
            set_barrier(input_free + 8 * k, PRODUCERS / 32);
        }
        publish_barriers();
    }
    __syncthreads();

    const int n0 = blockIdx.y * OUTPUTS;
    const int image0 = blockIdx.x / (tile.down * tile.across) * tile.images;
    const int place = blockIdx.x % (tile.down * tile.across);
    const int y0 = place / tile.across * tile.rows, x0 = place % tile.across * tile.columns;
    float total[POINTS / 2];

    if (warp == (PRODUCERS + LOADERS) / 32) {
        /* Weights are constant: they come while what precedes still runs. */
        if (lane == 0) {
            Ring ring = {size.weight_stages, 0, 1};
            const long long row = static_cast<long long>(size.chunks) * steps_of_chunk * MATRIX;
            const T *from_here = weights + blockIdx.y * GROUPS * row
                + static_cast<long long>(first) * steps_of_chunk * MATRIX;
            for (int k = 0; k < (last - first) * stages_of_chunk; k++) {
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
        const int loader = thread - PRODUCERS;
        for (int slot = loader; slot < tile.slots; slot += LOADERS) {
            int line = slot / tile.pitch;
            const int column = slot - line * tile.pitch;
            const int place_of_image = line / tile.image_rows;
            line -= place_of_image * tile.image_rows;
            const int plane = place_of_image / tile.images;
            const int image = place_of_image - plane * tile.images;
            const int y = (y0 + line) * size.strides[0] - size.before[0] + plane / tile.planes_across;
            const int x = (x0 + column) * size.strides[1] - size.before[1] + plane % tile.planes_across;
            const bool valid = image0 + image < size.images
                && static_cast<unsigned>(y) < size.input[0]
                && static_cast<unsigned>(x) < size.input[1];
            offsets[slot] = valid
                ? static_cast<int>((image * from.of[0] + y * from.of[2] + x * from.of[3]) / 8) : -1;
        }
        asm volatile("bar.sync 1, %0;" ::"n"(LOADERS) : "memory");
        await_predecessors();
        constexpr int ACROSS = CHUNK / 8;
        const int group = loader % ACROSS;
        const T *const start = input + image0 * from.of[0];
        Ring ring = {size.input_stages, 0, 1};
        for (int chunk = first; chunk < last; chunk++) {
            if (chunk - first >= size.input_stages)
                await(input_free + 8 * ring.at, ring.parity);
            const int channel = chunk * CHUNK + group * 8;
            const bool exists = channel < size.channels;
            const unsigned there = pieces + ring.at * piece_bytes + group * tile.slots * 16;
#pragma unroll 4
            for (int slot = loader / ACROSS; slot < tile.slots; slot += LOADERS / ACROSS) {
                const int offset = offsets[slot];
                const bool valid = exists && offset >= 0;
                copy_async(there + slot * 16,
                    valid ? start + static_cast<long long>(offset) * 8 + channel : input, valid);
            }
            arrive_when_copied(input_full + 8 * ring.at);
            ring.advance();
        }
    } else {
        const int member = warp / 4;
#pragma unroll
        for (int k = 0; k < POINTS / 2; k++)
            total[k] = 0.0f;
        Ring ring = {size.weight_stages, 0, 0}, piece = {size.input_stages, 0, 0};
        Ring done = ring;
        const unsigned long long factor_a = factor(factors + member * STAGE, MATRIX / 8 / 2, 8);
        const unsigned long long factor_b = factor(pieces, tile.slots, tile.group_pitch);
        int before = -1; /* the piece whose last products were begun in the stage before */
        for (int chunk = first; chunk < last; chunk++) {
            await(input_full + 8 * piece.at, piece.parity);
            show_to_products();
            const unsigned long long there = factor_b + piece.at * (piece_bytes / 16);
            int tap = 0, part = 0;
            for (int stage = 0; stage < stages_of_chunk; stage++) {
                await(weights_full + 8 * ring.at, ring.parity);
                const unsigned long long a = factor_a + ring.at * (GROUPS * STAGE / 16);
                begin_products();
#pragma unroll
                for (int k = 0; k < STEPS; k++) {
                    WarpgroupProduct<T>::add(total, a + k * (MATRIX * 2 / 16),
                        there + shift.of[tap] + part * 2 * tile.slots);
                    part = part + 1 == PER_TAP ? 0 : part + 1;
                    tap += part == 0;
                }
                end_products();
                await_products<1>(); /* those of the stage before */
                if (lane == 0 && (stage > 0 || chunk > first))
                    arrive(weights_free + 8 * done.at);
                if (lane == 0 && before >= 0)
                    arrive(input_free + 8 * before);
                before = -1;
                if (stage > 0 || chunk > first)
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
    if (SPLIT > 1)
        cluster_barrier();
    else
        __syncthreads();
    await_predecessors();
    constexpr int ITEMS = POINTS * OUTPUTS / WIDTH;
    const bool along_points = WIDTH == 1 && to.of[1] != 1;
#pragma unroll 1
    for (int item = rank * THREADS + thread; item < ITEMS; item += THREADS * SPLIT) {
        const int point = along_points ? item % POINTS : item / (OUTPUTS / WIDTH);
        const int own = along_points ? item / POINTS : item % (OUTPUTS / WIDTH) * WIDTH;
        const int line = point / tile.row_points, column = point - line * tile.row_points;
        const int place_of_image = line / tile.image_rows;
        const int row = line - place_of_image * tile.image_rows, image = image0 + place_of_image;
        const int y = y0 + row, x = x0 + column, n = n0 + own;
        if (row >= tile.rows || column >= tile.columns || y >= size.output[0]
            || x >= size.output[1] || n >= size.outputs || place_of_image >= tile.images
            || image >= size.images)
            continue;
        float values[WIDTH] = {};
        const float *const at = sums + point * LINE + own;
#pragma unroll
        for (int k = 0; k < SPLIT; k++) {
            if constexpr (WIDTH == 1) {
                values[0] += SPLIT > 1 ? load_one_from_block(shared_address(at), k) : *at;
            } else {
#pragma unroll
                for (int quarter = 0; quarter < WIDTH; quarter += 4) {
                    const float4 part = SPLIT > 1
                        ? load_from_block(shared_address(at + quarter), k)
                        : *reinterpret_cast<const float4 *>(at + quarter);
                    values[quarter] += part.x;
                    values[quarter + 1] += part.y;
                    values[quarter + 2] += part.z;
                    values[quarter + 3] += part.w;
                }
            }
        }
        epilogue.apply(values, WIDTH, image, n, 0, y, x);
        store<U, float, WIDTH>(output + image * to.of[0] + n * to.of[1] + y * to.of[2]
                + x * to.of[3], values);
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

template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int STEPS, int WIDTH>
__global__ void __launch_bounds__(GROUPS * 128 + 128, together<POINTS, GROUPS>)
    implicit_gemm(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, POINTS, GROUPS, CHUNK, STEPS, WIDTH, 1>(ARGUMENTS, epilogue);
}

/* SPLIT blocks along z share a sum. */
template <typename T, typename U, int POINTS, int GROUPS, int CHUNK, int STEPS, int WIDTH, int SPLIT>
__global__ void __cluster_dims__(1, 1, SPLIT)
    __launch_bounds__(GROUPS * 128 + 128, together<POINTS, GROUPS>) implicit_gemm_split(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, POINTS, GROUPS, CHUNK, STEPS, WIDTH, SPLIT>(ARGUMENTS, epilogue);
}
