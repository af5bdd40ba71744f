/* Products of tiles whose factors lie in shared memory as rows of BK 16-bit elements. */
#pragma once
#include "matrix_instructions.cuh"

namespace plugrt {

/* Where group `group` of 8 elements of a row begins, in bytes: rows are so permuted that neither
 * copies nor loads of matrices meet in one bank. */
template <int BK> __device__ __forceinline__ unsigned place(int row, int group)
{
    const int turn = BK >= 64 ? row & 7 : row >> 1 & 3;
    return row * (BK * 2) + (group ^ turn) * 16;
}

/* Adds a warp's products of elements 16 * step to 16 * step + 15 of its rows: MT * 16 of the left
 * factor at `left`, NT * 8 of the right one at `right`. */
template <typename T, int BK, int MT, int NT>
__device__ __forceinline__ void multiply_step(Product (&total)[MT][NT], unsigned left,
    unsigned right, int first_left, int first_right, int step)
{
    const int lane = threadIdx.x % 32;
    const int row_a = first_left + lane % 16, group_a = lane / 16;
    const int row_b = first_right + lane % 8 + lane / 16 * 8, group_b = lane / 8 % 2;
    unsigned a[MT][4], b[NT / 2][4];
#pragma unroll
    for (int i = 0; i < MT; i++)
        load_matrices(a[i], left + place<BK>(row_a + i * 16, step * 2 + group_a));
#pragma unroll
    for (int j = 0; j < NT / 2; j++)
        load_matrices(b[j], right + place<BK>(row_b + j * 16, step * 2 + group_b));
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
            Multiply<T>::add(total[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
}

/* Puts a warp's sums where others find them: rows of LINE floats. */
template <int LINE, int MT, int NT>
__device__ __forceinline__ void put_sums(
    float *sums, int first_row, int first_column, const Product (&total)[MT][NT])
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = first_row + i * 16 + half * 8 + lane / 4;
                const int column = first_column + j * 8 + lane % 4 * 2;
                *reinterpret_cast<float2 *>(sums + row * LINE + column) =
                    make_float2(total[i][j].of[half * 2], total[i][j].of[half * 2 + 1]);
            }
}

} // namespace plugrt
