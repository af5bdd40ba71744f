/* First layers: convolution of images with up to four channels on the tensor cores.
 *
 * A block of WARPS warps computes 2 * WARPS x 16 points for 8 * TILES output channels. The part of
 * the image it sees lies in shared memory with four channels to a point, the missing ones zero,
 * so that one step of the matrix instruction (16 products) takes four neighbouring points of a
 * row of the window. Any order of the 16 serves as long as both factors agree: a thread's four
 * elements are the four channels of one point, a single access.
 *
 * Output channels are assigned to columns of the instruction in such an order that a thread ends
 * with eight neighbours of a point, one access of 16 bytes: see `pack` in shallow_cuda.py. */
#include "storage.cuh"
#include "epilogue.cuh"

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

struct Product {
    float of[4];
};

/* total += a (16 points x 16) * b (16 x 8 outputs), in T. */
template <typename T> struct Multiply;
template <> struct Multiply<float16> {
    static __device__ __forceinline__ void add(Product &total, const unsigned (&a)[4], uint2 b)
    {
#if __CUDA_ARCH__ >= 800
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
#else
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(b.x));
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[2]), "r"(a[3]), "r"(b.y));
#endif
    }
};
#if __CUDA_ARCH__ >= 800
template <> struct Multiply<bfloat16> {
    static __device__ __forceinline__ void add(Product &total, const unsigned (&a)[4], uint2 b)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
    }
};
#endif

/* S is the image's type, T that of the products and of the output; WIDTH is the window's width
 * up to a multiple of 4. Weights are [block of outputs, step, tile, lane] of 4 elements each. */
template <typename S, typename T, int WARPS, int TILES, int HEIGHT, int WIDTH, int STRIDE>
__global__ void __launch_bounds__(32 * WARPS) convolution_shallow(const S *__restrict__ input,
    const uint2 *__restrict__ weights, T *__restrict__ output, int channels, Two input_size,
    Four size, Two before, Two tiles, Strides from, Strides to EPILOGUE_PARAMETERS)
{
    constexpr int ROWS = 2, LINES = ROWS * WARPS, SIDE = 16, THREADS = 32 * WARPS;
    constexpr int DOWN = (LINES - 1) * STRIDE + HEIGHT, ACROSS = (SIDE - 1) * STRIDE + WIDTH;
    constexpr int STEPS = HEIGHT * (WIDTH / 4);
    constexpr int SHARE = (DOWN * ACROSS + THREADS - 1) / THREADS;
    constexpr int AT_ONCE = SHARE < 8 ? SHARE : 8;
    __shared__ Packed<T, 4> image[DOWN * ACROSS];
    unsigned rest = blockIdx.x;
    const int first_x = rest % tiles.of[1] * SIDE;
    rest /= tiles.of[1];
    const int first_y = rest % tiles.of[0] * LINES;
    const int n = rest / tiles.of[0];
    const S *source = input + n * from.of[0];
    /* Loads go ahead of what waits for them. */
#pragma unroll 1
    for (int start = threadIdx.x; start < DOWN * ACROSS; start += AT_ONCE * THREADS) {
        float points[AT_ONCE][4];
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++) {
            const int i = start + k * THREADS;
            const int y = first_y * STRIDE - before.of[0] + i / ACROSS;
            const int x = first_x * STRIDE - before.of[1] + i % ACROSS;
            const bool inside = i < DOWN * ACROSS && y >= 0 && y < input_size.of[0] && x >= 0
                && x < input_size.of[1];
            const S *at = source + y * from.of[2] + x * from.of[3];
#pragma unroll
            for (int c = 0; c < 4; c++)
                points[k][c] =
                    inside && c < channels ? widen<float>(at[c * from.of[1]]) : 0.0f;
        }
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (start + k * THREADS < DOWN * ACROSS)
                image[start + k * THREADS] = narrow_all<T, float, 4>(points[k]);
    }
    __syncthreads();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int point = lane / 4, quarter = lane % 4;
    Product total[ROWS][TILES];
#pragma unroll
    for (int row = 0; row < ROWS; row++)
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
            total[row][tile] = Product{{0.0f, 0.0f, 0.0f, 0.0f}};
    const uint2 *factors = weights + blockIdx.y * (STEPS * TILES * 32) + lane;
#pragma unroll 2
    for (int j = 0; j < HEIGHT; j++)
#pragma unroll
        for (int k = 0; k < WIDTH; k += 4) {
            unsigned a[ROWS][4];
#pragma unroll
            for (int row = 0; row < ROWS; row++) {
                const int line = (warp * ROWS + row) * STRIDE + j;
                const Packed<T, 4> *at = image + line * ACROSS + point * STRIDE + k + quarter;
                const uint2 near = at[0].words[0], far = at[8 * STRIDE].words[0];
                a[row][0] = near.x;
                a[row][1] = far.x;
                a[row][2] = near.y;
                a[row][3] = far.y;
            }
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                const uint2 b = factors[((j * (WIDTH / 4) + k / 4) * TILES + tile) * 32];
#pragma unroll
                for (int row = 0; row < ROWS; row++)
                    Multiply<T>::add(total[row][tile], a[row], b);
            }
        }
    const Epilogue epilogue = EPILOGUE_VALUES;
#pragma unroll
    for (int row = 0; row < ROWS; row++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int y = first_y + warp * ROWS + row, x = first_x + point + half * 8;
            if (y >= size.of[2] || x >= size.of[3])
                continue;
#pragma unroll
            for (int tile = 0; tile < TILES; tile += 4) {
                const int m = blockIdx.y * TILES * 8 + tile * 8 + quarter * 8;
                if (m >= size.of[1])
                    continue;
                float values[8];
#pragma unroll
                for (int k = 0; k < 8; k++)
                    values[k] = total[row][tile + k / 2].of[half * 2 + k % 2];
                epilogue.apply(values, 8, n, m, 0, y, x);
                store<T, float, 8>(
                    output + n * to.of[0] + m + y * to.of[2] + x * to.of[3], values);
            }
        }
}
