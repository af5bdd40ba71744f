/* Copies between tensors of any strides: every thread moves one word of 1 to 16 bytes. */
#include "dependency.cuh"
#include "division.cuh"
#include "storage.cuh"

using namespace plugrt;

template <int LOOPS> struct Loops {
    long long of[LOOPS];
};

template <int LOOPS> struct Sizes {
    Divisor of[LOOPS];
};

/* Loops from the outermost to the innermost; strides in bytes. */
template <typename Word, int LOOPS>
__global__ void __launch_bounds__(256) strided_copy(const char *from, char *to, unsigned count,
    Sizes<LOOPS> sizes, Loops<LOOPS> source, Loops<LOOPS> destination)
{
    await_predecessors();
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    if (rest >= count)
        return;
#pragma unroll
    for (int loop = LOOPS - 1; loop >= 0; loop--) {
        const unsigned index = loop > 0 ? sizes.of[loop].split(rest) : rest;
        from += index * source.of[loop];
        to += index * destination.of[loop];
    }
    *reinterpret_cast<Word *>(to) = *reinterpret_cast<const Word *>(from);
}
