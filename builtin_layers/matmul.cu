/* Matrix products of any types and strides, in tiles of 64 x 64: what is left where no library
 * computes them. */
#include "storage.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Batch {
    int of[3];
};
struct Steps {
    long long of[5]; /* three batch dimensions, rows, columns */
};

/* Sums are in A. Epilogues see the result's axes as `place` tells: N, C and three more. */
template <typename T, typename U, typename R, typename A, bool FUSED>
__global__ void __launch_bounds__(256) matmul(const T *__restrict__ left,
    const U *__restrict__ right, R *__restrict__ result, int rows, int columns, int depth,
    int rank, Batch batch, Steps left_steps, Steps right_steps,
    Steps result_steps EPILOGUE_PARAMETERS)
{
    constexpr int SIDE = 64, DEPTH = 16;
    __shared__ A a[DEPTH][SIDE + 1], b[DEPTH][SIDE + 1];
    const int third = blockIdx.z % batch.of[2];
    const int second = blockIdx.z / batch.of[2] % batch.of[1];
    const int first = blockIdx.z / batch.of[2] / batch.of[1];
    left += first * left_steps.of[0] + second * left_steps.of[1] + third * left_steps.of[2];
    right += first * right_steps.of[0] + second * right_steps.of[1] + third * right_steps.of[2];
    result +=
        first * result_steps.of[0] + second * result_steps.of[1] + third * result_steps.of[2];
    const int row = blockIdx.y * SIDE, column = blockIdx.x * SIDE;
    const int down = threadIdx.x / 16, across = threadIdx.x % 16;
    A total[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            total[i][j] = A(0);
    for (int start = 0; start < depth; start += DEPTH) {
#pragma unroll
        for (int i = threadIdx.x; i < SIDE * DEPTH; i += 256) {
            const int k = start + i % DEPTH, m = row + i / DEPTH;
            a[i % DEPTH][i / DEPTH] = k < depth && m < rows
                ? widen<A>(left[m * left_steps.of[3] + k * left_steps.of[4]]) : A(0);
            const int n = column + i % SIDE, l = start + i / SIDE;
            b[i / SIDE][i % SIDE] = l < depth && n < columns
                ? widen<A>(right[l * right_steps.of[3] + n * right_steps.of[4]]) : A(0);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
                    total[i][j] += a[k][down + 16 * i] * b[k][across + 16 * j];
        __syncthreads();
    }
    const Epilogue epilogue = EPILOGUE_VALUES;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int m = row + down + 16 * i, n = column + across + 16 * j;
            if (m >= rows || n >= columns)
                continue;
            R *place = result + m * result_steps.of[3] + n * result_steps.of[4];
            if (FUSED) {
                float values[1] = {static_cast<float>(total[i][j])};
                if (rank == 1)
                    epilogue.apply(values, 1, n, 0, 0, 0, 0);
                else if (rank == 2)
                    epilogue.apply(values, 1, m, n, 0, 0, 0);
                else if (rank == 3)
                    epilogue.apply(values, 1, third, m, 0, 0, n);
                else if (rank == 4)
                    epilogue.apply(values, 1, second, third, 0, m, n);
                else
                    epilogue.apply(values, 1, first, second, third, m, n);
                *place = narrow<R>(values[0]);
            } else {
                *place = narrow<R>(total[i][j]);
            }
        }
}
