/* Convolution of channels-last 16-bit floats as a product of matrices on the tensor cores: output
 * points x (window x channels) times (window x channels) x output channels. T is what is
 * multiplied, U what is stored.
 *
 * A block computes BM points of BN output channels. Both factors come in pieces of BK elements
 * through a ring of STAGES pieces in shared memory. WARPS_K warps share a piece's products, SPLIT
 * blocks of a cluster the sum over all pieces: small images have too few tiles to keep a GPU busy.
 * The order of every sum depends on neither the batch nor the place. */
#include "storage.cuh"
#include "clusters.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "epilogue.cuh"
#include "matrix_tiles.cuh"

using namespace plugrt;

struct Two {
    int of[2];
};
struct Strides {
    long long of[4]; /* images, channels, rows, points */
};
struct Sizes {
    Divisor columns, rows; /* of the output */
};
struct Window {
    int width, strides[2], dilations[2], before[2];
};

/* Eight channels of a point: where their sums lie in the tile, and where they go. */
struct Item {
    int row, column, image, channel, count, y, x;
    bool exists;
};

template <typename T, typename U, int BM, int BN, int BK, int WARPS_M, int WARPS_N, int WARPS_K,
    int STAGES, int SPLIT, bool POINT, bool PACKED>
__device__ __forceinline__ void convolve(const T *input, const T *__restrict__ weights, U *output,
    int points, int channels, int outputs, int taps, Sizes size, Two input_size, Window window,
    Strides from, Strides to, const Epilogue &epilogue)
{
    constexpr int THREADS = 32 * WARPS_M * WARPS_N * WARPS_K, GROUPS = BK / 8;
    constexpr int REACH = THREADS / GROUPS;
    constexpr int ROWS_A = (BM + REACH - 1) / REACH, ROWS_B = (BN + REACH - 1) / REACH;
    constexpr int WM = BM / WARPS_M, WN = BN / WARPS_N, MT = WM / 16, NT = WN / 8;
    constexpr int STAGE = (BM + BN) * BK * 2;
    static_assert(WM % 16 == 0 && WN % 16 == 0 && BK / 16 % WARPS_K == 0, "");
    extern __shared__ uint4 room[];
    const unsigned base = shared_address(room);
    const int thread = threadIdx.x;
    const int group = thread % GROUPS, first_row = thread / GROUPS;
    const int all_groups = taps * (channels / 8);
    const int pieces = (all_groups + GROUPS - 1) / GROUPS;
    const int first = SPLIT > 1 ? blockIdx.z * pieces / SPLIT : 0;
    const int last = SPLIT > 1 ? (blockIdx.z + 1) * pieces / SPLIT : pieces;
    const int m0 = blockIdx.x * BM, n0 = blockIdx.y * BN;

    /* Where the thread's copies begin. */
    const T *factor_b = weights + static_cast<long long>(n0 + first_row) * all_groups * 8;
    const T *corner[ROWS_A];
    int corner_y[ROWS_A], corner_x[ROWS_A];
    bool exists[ROWS_A];
#pragma unroll
    for (int k = 0; k < ROWS_A; k++) {
        const int m = m0 + first_row + k * REACH;
        exists[k] = m < points && (BM % REACH == 0 || first_row + k * REACH < BM);
        unsigned rest = exists[k] ? m : 0;
        const int x = size.columns.split(rest);
        const int y = size.rows.split(rest);
        corner_y[k] = y * window.strides[0] - window.before[0];
        corner_x[k] = x * window.strides[1] - window.before[1];
        corner[k] = input + rest * from.of[0] + corner_y[k] * from.of[2] + corner_x[k] * from.of[3];
    }
    auto copy_b = [&](int piece, int stage) {
        const int g = piece * GROUPS + group;
        const unsigned there = base + stage * STAGE + BM * BK * 2;
#pragma unroll
        for (int k = 0; k < ROWS_B; k++) {
            const int row = first_row + k * REACH;
            if (BN % REACH && row >= BN)
                break;
            const bool valid = g < all_groups && n0 + row < outputs;
            const T *at = factor_b + (static_cast<long long>(k * REACH) * all_groups + g) * 8;
            copy_async(there + place<BK>(row, group), valid ? at : weights, valid);
        }
    };
    /* The window's tap and the channels of the next piece. */
    const int groups_of_channels = channels / 8;
    int tap_y = 0, tap_x = 0, c = first * GROUPS + group;
    auto settle = [&] {
        if (!POINT)
            while (c >= groups_of_channels) {
                c -= groups_of_channels;
                if (++tap_x == window.width) {
                    tap_x = 0;
                    tap_y++;
                }
            }
    };
    auto copy_a = [&](int piece, int stage) {
        settle();
        const bool within = piece * GROUPS + group < all_groups;
        const int dy = tap_y * window.dilations[0], dx = tap_x * window.dilations[1];
        const long long offset = POINT ? c * 8 : dy * from.of[2] + dx * from.of[3] + c * 8;
        const unsigned there = base + stage * STAGE;
#pragma unroll
        for (int k = 0; k < ROWS_A; k++) {
            const int row = first_row + k * REACH;
            if (BM % REACH && row >= BM)
                break;
            bool valid = within && exists[k];
            if (!POINT)
                valid = valid && static_cast<unsigned>(corner_y[k] + dy) < input_size.of[0]
                    && static_cast<unsigned>(corner_x[k] + dx) < input_size.of[1];
            copy_async(there + place<BK>(row, group), valid ? corner[k] + offset : input, valid);
        }
        c += GROUPS;
    };

    /* Weights are constant: they come while what precedes still runs. */
#pragma unroll
    for (int k = 0; k < STAGES - 1; k++)
        if (first + k < last)
            copy_b(first + k, k);
    await_predecessors();
#pragma unroll
    for (int k = 0; k < STAGES - 1; k++) {
        if (first + k < last)
            copy_a(first + k, k);
        end_group();
    }

    /* What the thread stores in the end: eight channels of each of SHARE points. */
    constexpr int ITEMS = BM * BN / 8, STEP = THREADS * SPLIT, SHARE = (ITEMS + STEP - 1) / STEP;
    constexpr bool EARLY = SHARE <= 2; /* there are registers for what the epilogue reads */
    const int rank = SPLIT > 1 ? blockIdx.z : 0;
    auto locate = [&](int k) {
        const int item = rank * THREADS + thread + k * STEP;
        Item found;
        found.row = item / (BN / 8), found.column = item % (BN / 8) * 8;
        const int m = m0 + found.row, n = n0 + found.column;
        found.exists = m < points && n < outputs && (ITEMS % STEP == 0 || item < ITEMS);
        unsigned rest = found.exists ? m : 0;
        found.channel = found.exists ? n : 0;
        found.count = PACKED || outputs - found.channel > 8 ? 8 : outputs - found.channel;
        found.x = size.columns.split(rest), found.y = size.rows.split(rest), found.image = rest;
        return found;
    };
    Epilogue::Operands operands[EARLY ? SHARE : 1];
    if (EARLY)
#pragma unroll
        for (int k = 0; k < SHARE; k++) {
            const Item at = locate(k);
            epilogue.fetch(operands[EARLY ? k : 0], at.count, at.image, at.channel, 0, at.y, at.x);
        }

    const int warp = thread / 32;
    const int warp_k = warp / (WARPS_M * WARPS_N), warp_n = warp / WARPS_M % WARPS_N;
    const int warp_m = warp % WARPS_M;
    Product total[MT][NT];
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
            total[i][j] = Product{{0.0f, 0.0f, 0.0f, 0.0f}};
    int stage = 0, free = STAGES - 1;
    for (int piece = first; piece < last; piece++) {
        await_groups<STAGES - 2>();
        __syncthreads();
        if (piece + STAGES - 1 < last) {
            copy_b(piece + STAGES - 1, free);
            copy_a(piece + STAGES - 1, free);
        }
        end_group();
        const unsigned here = base + stage * STAGE;
#pragma unroll
        for (int share = 0; share < BK / 16 / WARPS_K; share++)
            multiply_step<T, BK>(total, here, here + BM * BK * 2, warp_m * WM, warp_n * WN,
                share * WARPS_K + warp_k);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        free = free + 1 == STAGES ? 0 : free + 1;
    }
    await_groups<0>();
    __syncthreads();

    /* Sums pass through shared memory, so that a thread ends with eight neighbouring channels. */
    constexpr int LINE = BN + 8;
    float *sums = reinterpret_cast<float *>(room);
    put_sums<LINE>(sums, warp_k * BM + warp_m * WM, warp_n * WN, total);
    if (SPLIT > 1)
        cluster_barrier();
    else
        __syncthreads();
    constexpr int PARTS = WARPS_K * SPLIT, AT_ONCE = PARTS < 8 ? PARTS : 8;
#pragma unroll
    for (int turn = 0; turn < SHARE; turn++) {
        const Item at = locate(turn);
        if (!at.exists)
            continue;
        if (!EARLY)
            epilogue.fetch(operands[0], at.count, at.image, at.channel, 0, at.y, at.x);
        float values[8] = {};
#pragma unroll
        for (int part = 0; part < PARTS; part += AT_ONCE) {
            float4 seen[AT_ONCE][2]; /* another block's shared memory is far away */
#pragma unroll
            for (int k = 0; k < AT_ONCE; k++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const float *from_here = sums
                        + ((part + k) % WARPS_K * BM + at.row) * LINE + at.column + half * 4;
                    seen[k][half] = SPLIT > 1
                        ? load_from_block(shared_address(from_here), (part + k) / WARPS_K)
                        : *reinterpret_cast<const float4 *>(from_here);
                }
#pragma unroll
            for (int k = 0; k < AT_ONCE; k++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    values[half * 4] += seen[k][half].x;
                    values[half * 4 + 1] += seen[k][half].y;
                    values[half * 4 + 2] += seen[k][half].z;
                    values[half * 4 + 3] += seen[k][half].w;
                }
        }
        epilogue.finish(values, operands[EARLY ? turn : 0]);
        U *there = output + at.image * to.of[0] + at.channel * to.of[1] + at.y * to.of[2]
            + at.x * to.of[3];
        if (PACKED)
            store<U, float, 8>(there, values);
        else
            store_some<U, float, 8>(there, to.of[1], at.count, values);
    }
    if (SPLIT > 1)
        cluster_barrier(); /* others read this block's sums */
}

#define PARAMETERS                                                                            \
    const T *input, const T *__restrict__ weights, U *output, int points, int channels,       \
        int outputs, int taps, Sizes size, Two input_size, Window window, Strides from,        \
        Strides to EPILOGUE_PARAMETERS
#define ARGUMENTS                                                                             \
    input, weights, output, points, channels, outputs, taps, size, input_size, window, from, to

template <typename T, typename U, int BM, int BN, int BK, int WARPS_M, int WARPS_N, int WARPS_K,
    int STAGES, bool POINT, bool PACKED>
__global__ void __launch_bounds__(32 * WARPS_M *WARPS_N *WARPS_K) convolution_tiles(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, BM, BN, BK, WARPS_M, WARPS_N, WARPS_K, STAGES, 1, POINT, PACKED>(
        ARGUMENTS, epilogue);
}

#if __CUDA_ARCH__ >= 900
/* SPLIT blocks along z share a sum. */
template <typename T, typename U, int BM, int BN, int BK, int WARPS_M, int WARPS_N, int WARPS_K,
    int STAGES, int SPLIT, bool POINT, bool PACKED>
__global__ void __cluster_dims__(1, 1, SPLIT) __launch_bounds__(32 * WARPS_M *WARPS_N *WARPS_K)
    convolution_tiles_split(PARAMETERS)
{
    const Epilogue epilogue = EPILOGUE_VALUES;
    convolve<T, U, BM, BN, BK, WARPS_M, WARPS_N, WARPS_K, STAGES, SPLIT, POINT, PACKED>(
        ARGUMENTS, epilogue);
}
#endif
