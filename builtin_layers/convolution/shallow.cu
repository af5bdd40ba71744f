/* First layers: convolution of images with up to four channels on the tensor cores.
 *
 * A block of WARPS warps computes ROWS * WARPS x 16 points for 8 * TILES output channels. The part
 * of the image it sees lies in shared memory with four channels to a point, the missing ones
 * zero, so that one step of the matrix instruction (16 products) takes four neighbouring points
 * of a row of the window. Any order of the 16 serves as long as both factors agree: a thread's
 * four elements are the four channels of one point, a single access.
 *
 * Output channels are assigned to columns of the instruction in such an order that a thread ends
 * with eight neighbours of a point, one access of 16 bytes: see `pack` in shallow_cuda.py. */
#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "epilogue.cuh"
#include "matrix_instructions.cuh"

using namespace plugrt;

struct Two {
    int of[2];
};
struct Four {
    int of[4];
};
struct Strides {
    long long of[4]; /* images, channels, rows, points */
};
struct Tiles {
    Divisor columns, rows; /* of an image */
};

/* S is the image's type, T that of the products and of the output; WIDTH is the window's width
 * up to a multiple of 4. Weights are [block of outputs, step, tile, lane] of 4 elements each. A
 * block computes `per_block` tiles, one after the other: the next one's image comes while the
 * products of one are made. */
template <typename S, typename T, int WARPS, int ROWS, int TILES, int HEIGHT, int WIDTH,
    int STRIDE>
__global__ void __launch_bounds__(32 * WARPS) convolution_shallow(const S *input,
    const uint2 *__restrict__ weights, T *output, int channels, Two input_size, Four size,
    Two before, Tiles tiles, unsigned per_block, unsigned all, Strides from,
    Strides to EPILOGUE_PARAMETERS)
{
    constexpr int LINES = ROWS * WARPS, SIDE = 16, THREADS = 32 * WARPS;
    constexpr int DOWN = (LINES - 1) * STRIDE + HEIGHT, ACROSS = (SIDE - 1) * STRIDE + WIDTH;
    constexpr int STEPS = HEIGHT * (WIDTH / 4);
    constexpr int SHARE = (DOWN * ACROSS + THREADS - 1) / THREADS;
    constexpr bool KEEPS = STEPS * TILES <= 16; /* factors stay in registers */
    constexpr int KEPT = KEEPS ? STEPS * TILES : 1;
    constexpr bool SHARES = !KEEPS && STEPS * TILES <= 112; /* they lie in shared memory */
    __shared__ Packed<T, 4> image[DOWN * ACROSS];
    __shared__ uint2 factors[SHARES ? STEPS * TILES * 32 : 1];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int point = lane / 4, quarter = lane % 4;

    release_successors();
    uint2 kept[KEPT];
    const uint2 *given = weights + blockIdx.y * (STEPS * TILES * 32);
    if (KEEPS) {
#pragma unroll
        for (int k = 0; k < KEPT; k++)
            kept[k] = given[k * 32 + lane];
    } else if (SHARES) {
        for (int k = threadIdx.x; k < STEPS * TILES * 32; k += THREADS)
            factors[k] = given[k];
    }
    await_predecessors();

    S seen[SHARE][4];
    bool inside[SHARE];
    auto fetch = [&](unsigned tile) {
        const int first_x = tiles.columns.split(tile) * SIDE * STRIDE - before.of[1];
        const int first_y = tiles.rows.split(tile) * LINES * STRIDE - before.of[0];
        const S *source = input + tile * from.of[0];
#pragma unroll
        for (int k = 0; k < SHARE; k++) {
            const int i = threadIdx.x + k * THREADS;
            const int y = first_y + i / ACROSS, x = first_x + i % ACROSS;
            inside[k] = i < DOWN * ACROSS && y >= 0 && y < input_size.of[0] && x >= 0
                && x < input_size.of[1];
            const S *at = source + y * from.of[2] + x * from.of[3];
#pragma unroll
            for (int c = 0; c < 4; c++)
                if (inside[k] && c < channels)
                    seen[k][c] = at[c * from.of[1]];
        }
    };
    unsigned tile = blockIdx.x * per_block;
    const unsigned last = tile + per_block < all ? tile + per_block : all;
    fetch(tile);
    const Epilogue epilogue = EPILOGUE_VALUES;
#pragma unroll 1
    for (; tile < last; tile++) {
#pragma unroll
        for (int k = 0; k < SHARE; k++) {
            float values[4];
#pragma unroll
            for (int c = 0; c < 4; c++)
                values[c] = inside[k] && c < channels ? widen<float>(seen[k][c]) : 0.0f;
            if (threadIdx.x + k * THREADS < DOWN * ACROSS)
                image[threadIdx.x + k * THREADS] = narrow_all<T, float, 4>(values);
        }
        __syncthreads();
        if (tile + 1 < last)
            fetch(tile + 1);
        unsigned rest = tile;
        const int first_x = tiles.columns.split(rest) * SIDE;
        const int first_y = tiles.rows.split(rest) * LINES;
        const int n = rest;
        Epilogue::Operands operands[ROWS][2][TILES / 4];
#pragma unroll
        for (int row = 0; row < ROWS; row++)
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int t = 0; t < TILES; t += 4) /* of elements that exist */
                    epilogue.fetch(operands[row][half][t / 4], 8, n,
                        min(blockIdx.y * TILES * 8 + t * 8 + quarter * 8, size.of[1] - 8), 0,
                        min(first_y + warp * ROWS + row, size.of[2] - 1),
                        min(first_x + point + half * 8, size.of[3] - 1));
        Product total[ROWS][TILES];
#pragma unroll
        for (int row = 0; row < ROWS; row++)
#pragma unroll
            for (int t = 0; t < TILES; t++)
                total[row][t] = Product{{0.0f, 0.0f, 0.0f, 0.0f}};
#pragma unroll(KEEPS ? HEIGHT : 1)
        for (int j = 0; j < HEIGHT; j++)
#pragma unroll
            for (int k = 0; k < WIDTH; k += 4) {
                unsigned a[ROWS][4];
#pragma unroll
                for (int row = 0; row < ROWS; row++) {
                    const int line = (warp * ROWS + row) * STRIDE + j;
                    const Packed<T, 4> *at =
                        image + line * ACROSS + point * STRIDE + k + quarter;
                    const uint2 near = at[0].words[0], far = at[8 * STRIDE].words[0];
                    a[row][0] = near.x;
                    a[row][1] = far.x;
                    a[row][2] = near.y;
                    a[row][3] = far.y;
                }
#pragma unroll
                for (int t = 0; t < TILES; t++) {
                    const int number = (j * (WIDTH / 4) + k / 4) * TILES + t;
                    const uint2 b = KEEPS ? kept[KEEPS ? number : 0]
                        : SHARES ? factors[number * 32 + lane] : given[number * 32 + lane];
#pragma unroll
                    for (int row = 0; row < ROWS; row++)
                        Multiply<T>::add(total[row][t], a[row], b.x, b.y);
                }
            }
        __syncthreads();
#pragma unroll
        for (int row = 0; row < ROWS; row++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int y = first_y + warp * ROWS + row, x = first_x + point + half * 8;
                if (y >= size.of[2] || x >= size.of[3])
                    continue;
#pragma unroll
                for (int t = 0; t < TILES; t += 4) {
                    const int m = blockIdx.y * TILES * 8 + t * 8 + quarter * 8;
                    if (m >= size.of[1])
                        continue;
                    float values[8];
#pragma unroll
                    for (int k = 0; k < 8; k++)
                        values[k] = total[row][t + k / 2].of[half * 2 + k % 2];
                    epilogue.finish(values, operands[row][half][t / 4]);
                    store<T, float, 8>(
                        output + n * to.of[0] + m + y * to.of[2] + x * to.of[3], values);
                }
            }
    }
}
