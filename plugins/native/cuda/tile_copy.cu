/* Copies that exchange the fastest dimension, through tiles in shared memory; they may convert
 * between floating-point types. Rows are what lies side by side in the source, columns in the
 * destination. */
#include "dependency.cuh"
#include "storage.cuh"

using namespace plugrt;

template <int LOOPS> struct Loops {
    long long of[LOOPS];
};

template <typename D, typename S> struct Convert {
    static __device__ __forceinline__ D of(S value) { return narrow<D>(widen<float>(value)); }
};
template <typename T> struct Convert<T, T> {
    static __device__ __forceinline__ T of(T value) { return value; }
};

/* READ and WRITE elements are moved at once. `source_step` is the source's distance between
 * columns, `destination_step` the destination's between rows; all strides in elements. */
template <typename S, typename D, int READ, int WRITE, int LOOPS>
__global__ void __launch_bounds__(256) tile_copy(const S *from, D *to, unsigned rows,
    unsigned columns, long long source_step, long long destination_step, Loops<LOOPS> sizes,
    Loops<LOOPS> source, Loops<LOOPS> destination)
{
    constexpr int SIDE = sizeof(D) > 4 ? 32 : 64;
    constexpr int GAP = sizeof(D) >= 4 ? 1 : 4 / static_cast<int>(sizeof(D)); /* for the banks */
    __shared__ D tile[SIDE][SIDE + GAP];
    await_predecessors();
    const unsigned down = (rows + SIDE - 1) / SIDE, across = (columns + SIDE - 1) / SIDE;
    unsigned rest = blockIdx.x;
    const unsigned first_row = rest % down * SIDE;
    rest /= down;
    const unsigned first_column = rest % across * SIDE;
    rest /= across;
#pragma unroll
    for (int loop = LOOPS - 1; loop >= 0; loop--) {
        const unsigned size = static_cast<unsigned>(sizes.of[loop]);
        from += rest % size * source.of[loop];
        to += rest % size * destination.of[loop];
        rest /= size;
    }
#pragma unroll
    for (int i = threadIdx.x; i < SIDE * SIDE / READ; i += 256) {
        const unsigned row = i % (SIDE / READ) * READ, column = i / (SIDE / READ);
        if (first_row + row >= rows || first_column + column >= columns)
            continue;
        const Packed<S, READ> pack = load_packed<S, READ>(
            from + (first_column + column) * source_step + first_row + row);
#pragma unroll
        for (int k = 0; k < READ; k++)
            tile[column][row + k] = Convert<D, S>::of(pack.elements[k]);
    }
    __syncthreads();
#pragma unroll
    for (int i = threadIdx.x; i < SIDE * SIDE / WRITE; i += 256) {
        const unsigned column = i % (SIDE / WRITE) * WRITE, row = i / (SIDE / WRITE);
        if (first_row + row >= rows || first_column + column >= columns)
            continue;
        Packed<D, WRITE> pack;
#pragma unroll
        for (int k = 0; k < WRITE; k++)
            pack.elements[k] = tile[column + k][row];
        store_packed<D, WRITE>(
            to + (first_row + row) * destination_step + first_column + column, pack);
    }
}
