/* NonZero: counts in chunks, then every chunk writes where the counts before it end. */
#include "storage.cuh"

using namespace plugrt;

struct Sizes {
    unsigned of[8];
};

template <typename Bits>
__global__ void __launch_bounds__(256) count_chunks(
    const Bits *__restrict__ input, int64 *__restrict__ counts, uint64 mask, uint64 count)
{
    __shared__ unsigned long long total;
    if (threadIdx.x == 0)
        total = 0;
    __syncthreads();
    const uint64 begin = count * blockIdx.x / gridDim.x;
    const uint64 end = count * (blockIdx.x + 1ULL) / gridDim.x;
    unsigned long long mine = 0;
    for (uint64 i = begin + threadIdx.x; i < end; i += 256)
        mine += (input[i] & static_cast<Bits>(mask)) != 0;
    if (mine)
        atomicAdd(&total, mine);
    __syncthreads();
    if (threadIdx.x == 0)
        counts[blockIdx.x] = total;
}

/* `indices` is [rank, count]: a column for every element that is not zero. */
template <typename Bits>
__global__ void __launch_bounds__(256) write_chunks(const Bits *__restrict__ input,
    const int64 *__restrict__ counts, int64 *__restrict__ indices, int64 *__restrict__ number,
    uint64 mask, uint64 count, int rank, Sizes sizes)
{
    __shared__ unsigned long long before;
    __shared__ unsigned votes[8];
    if (threadIdx.x == 0)
        before = 0;
    __syncthreads();
    unsigned long long mine = 0;
    for (unsigned k = threadIdx.x; k < blockIdx.x; k += 256)
        mine += counts[k];
    if (mine)
        atomicAdd(&before, mine);
    __syncthreads();
    uint64 column = before;
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0)
        *number = column + counts[blockIdx.x];
    const uint64 begin = count * blockIdx.x / gridDim.x;
    const uint64 end = count * (blockIdx.x + 1ULL) / gridDim.x;
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (uint64 start = begin; start < end; start += 256) {
        const uint64 i = start + threadIdx.x;
        const bool counts_here = i < end && (input[i] & static_cast<Bits>(mask)) != 0;
        const unsigned vote = __ballot_sync(0xffffffffu, counts_here);
        if (lane == 0)
            votes[warp] = vote;
        __syncthreads();
        unsigned earlier = 0, all = 0;
#pragma unroll
        for (unsigned k = 0; k < 8; k++) {
            earlier += k < warp ? __popc(votes[k]) : 0;
            all += __popc(votes[k]);
        }
        if (counts_here) {
            uint64 place = column + earlier + __popc(vote & ((1u << lane) - 1u)), rest = i;
            for (int axis = rank - 1; axis >= 0; axis--) {
                indices[axis * count + place] = rest % sizes.of[axis];
                rest /= sizes.of[axis];
            }
        }
        column += all;
        __syncthreads();
    }
}
