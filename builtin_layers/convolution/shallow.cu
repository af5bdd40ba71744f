/* First layers: convolution of images with up to four channels on the tensor cores.
 *
 * A block of WARPS warps computes ROWS * WARPS x 16 points for 8 * TILES output channels. The part
 * of the image it sees lies in shared memory with four channels to a point, the missing ones
 * zero, so that one step of the matrix instruction (16 products) takes four neighbouring points
 * of a row of the window. Any order of the 16 serves as long as both factors agree: a thread's
 * four elements are the four channels of one point, a single access.
 *
 * DENSE, for three channels and even strides, leaves the fourth out: a row of the window is groups
 * of eight neighbouring elements, two groups a step, of which a thread has two neighbours each.
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
 * up to a multiple of 4, or where DENSE as far as groups reach. BLOCKS blocks fit a multiprocessor.
 * Weights are [block of outputs, step, pair of tiles, lane, tile] of 4 elements each. */
template <typename S, typename T, int CHANNELS, int WARPS, int ROWS, int BLOCKS, int TILES,
    int HEIGHT, int WIDTH, int STRIDE, bool DENSE>
__global__ void __launch_bounds__(32 * WARPS, BLOCKS) convolution_shallow(const S *input,
    const uint4 *__restrict__ weights, T *output, Two input_size, Four size, Two before,
    Tiles tiles, Strides from, Strides to EPILOGUE_PARAMETERS)
{
    constexpr int LINES = ROWS * WARPS, SIDE = 16, THREADS = 32 * WARPS;
    constexpr int DOWN = (LINES - 1) * STRIDE + HEIGHT, ACROSS = (SIDE - 1) * STRIDE + WIDTH;
    constexpr int DEPTH = DENSE ? 3 : 4, PITCH = (ACROSS * DEPTH + 1) / 2 * 2;
    constexpr int GROUPS = WIDTH * 3 / 8; /* of a row, where DENSE */
    constexpr int STEPS = DENSE ? (HEIGHT * GROUPS + 1) / 2 : HEIGHT * (WIDTH / 4);
    constexpr int SHARE = (DOWN * ACROSS + THREADS - 1) / THREADS;
    constexpr int AT_ONCE = SHARE < 8 ? SHARE : 8; /* loads that go ahead of their conversion */
    constexpr bool EARLY = ROWS == 1; /* there are registers for what the epilogue reads */
    constexpr int UNROLLED = BLOCKS > 1 ? 2 : HEIGHT;
    static_assert(!DENSE || (CHANNELS == 3 && STRIDE % 2 == 0), "");
    __shared__ Packed<T, 4> room[(DOWN * PITCH + 3) / 4];
    T *image = reinterpret_cast<T *>(room);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int point = lane / 4, quarter = lane % 4;
    unsigned rest = blockIdx.x;
    const int first_x = tiles.columns.split(rest) * SIDE;
    const int first_y = tiles.rows.split(rest) * LINES;
    const int n = rest;
    const int first_channel = blockIdx.y * TILES * 8;
    const uint4 *factors = weights + blockIdx.y * (STEPS * TILES * 16) + lane;
    /* Places within an image have 31 bits. */
    const int plane = static_cast<int>(from.of[1]), line = static_cast<int>(from.of[2]);
    const int step = static_cast<int>(from.of[3]);
    const int top = first_y * STRIDE - before.of[0], left = first_x * STRIDE - before.of[1];
    await_predecessors();

    const S *source = input + n * from.of[0];
#pragma unroll 1
    for (int start = threadIdx.x; start < DOWN * ACROSS; start += AT_ONCE * THREADS) {
        S seen[AT_ONCE][CHANNELS];
        bool inside[AT_ONCE];
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++) {
            const int i = start + k * THREADS;
            const int y = top + i / ACROSS, x = left + i % ACROSS;
            inside[k] = i < DOWN * ACROSS && y >= 0 && y < input_size.of[0] && x >= 0
                && x < input_size.of[1];
            const int place = y * line + x * step;
#pragma unroll
            for (int c = 0; c < CHANNELS; c++)
                if (inside[k])
                    seen[k][c] = source[place + c * plane];
        }
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++) {
            float values[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
            for (int c = 0; c < CHANNELS; c++)
                values[c] = inside[k] ? widen<float>(seen[k][c]) : 0.0f;
            const int i = start + k * THREADS;
            if (i >= DOWN * ACROSS)
                continue;
            const Packed<T, 4> pack = narrow_all<T, float, 4>(values);
            if (DENSE)
#pragma unroll
                for (int c = 0; c < 3; c++)
                    image[i / ACROSS * PITCH + i % ACROSS * 3 + c] = pack.elements[c];
            else
                room[i] = pack;
        }
    }
    const Epilogue epilogue = EPILOGUE_VALUES;
    Epilogue::Operands operands[2][EARLY ? TILES / 4 : 1];
    if (EARLY)
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
            for (int t = 0; t < TILES; t += 4) /* of elements that exist */
                epilogue.fetch(operands[half][EARLY ? t / 4 : 0], 8, n,
                    min(first_channel + t * 8 + quarter * 8, size.of[1] - 8), 0,
                    min(first_y + warp, size.of[2] - 1),
                    min(first_x + point + half * 8, size.of[3] - 1));
    __syncthreads();

    Product total[ROWS][TILES];
#pragma unroll
    for (int row = 0; row < ROWS; row++)
#pragma unroll
        for (int t = 0; t < TILES; t++)
            total[row][t] = Product{{0.0f, 0.0f, 0.0f, 0.0f}};
    const T *corner = image + warp * ROWS * STRIDE * PITCH + point * STRIDE * DEPTH
        + quarter * (DENSE ? 2 : 4);
    auto multiply = [&](int number, const unsigned (&a)[ROWS][4]) {
#pragma unroll
        for (int t = 0; t < TILES; t += 2) {
            const uint4 b = factors[(number * TILES + t) * 16];
#pragma unroll
            for (int row = 0; row < ROWS; row++) {
                Multiply<T>::add(total[row][t], a[row], b.x, b.y);
                Multiply<T>::add(total[row][t + 1], a[row], b.z, b.w);
            }
        }
    };
    constexpr int FAR = 8 * STRIDE * DEPTH;
    if (DENSE) {
#pragma unroll
        for (int number = 0; number < STEPS; number++) {
            unsigned a[ROWS][4];
#pragma unroll
            for (int row = 0; row < ROWS; row++)
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    const int group = number * 2 + k;
                    const bool exists = group < HEIGHT * GROUPS;
                    const T *at = corner + (row * STRIDE + group / GROUPS) * PITCH
                        + group % GROUPS * 8;
                    a[row][k * 2] = exists ? *reinterpret_cast<const unsigned *>(at) : 0;
                    a[row][k * 2 + 1] =
                        exists ? *reinterpret_cast<const unsigned *>(at + FAR) : 0;
                }
            multiply(number, a);
        }
    } else {
#pragma unroll UNROLLED
        for (int j = 0; j < HEIGHT; j++)
#pragma unroll
            for (int k = 0; k < WIDTH; k += 4) {
                unsigned a[ROWS][4];
#pragma unroll
                for (int row = 0; row < ROWS; row++) {
                    const T *at = corner + (row * STRIDE + j) * PITCH + k * 4;
                    const uint2 near = *reinterpret_cast<const uint2 *>(at);
                    const uint2 far = *reinterpret_cast<const uint2 *>(at + FAR);
                    a[row][0] = near.x;
                    a[row][1] = far.x;
                    a[row][2] = near.y;
                    a[row][3] = far.y;
                }
                multiply(j * (WIDTH / 4) + k / 4, a);
            }
    }

#pragma unroll
    for (int row = 0; row < ROWS; row++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int y = first_y + warp * ROWS + row, x = first_x + point + half * 8;
            if (y >= size.of[2] || x >= size.of[3])
                continue;
            T *place = output + n * to.of[0] + y * to.of[2] + x * to.of[3];
#pragma unroll
            for (int t = 0; t < TILES; t += 4) {
                const int m = first_channel + t * 8 + quarter * 8;
                if (m >= size.of[1])
                    continue;
                float values[8];
#pragma unroll
                for (int k = 0; k < 8; k++)
                    values[k] = total[row][t + k / 2].of[half * 2 + k % 2];
                if (EARLY)
                    epilogue.finish(values, operands[half][EARLY ? t / 4 : 0]);
                else
                    epilogue.apply(values, 8, n, m, 0, y, x);
                store<T, float, 8>(place + m, values);
            }
        }
}
