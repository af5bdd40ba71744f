/* Sorting by a block of threads. */
#pragma once

namespace plugrt {

/* Batcher's bitonic sort of `count` keys, a power of two, in rising order; all THREADS threads of
 * the block come here, and go on when it is done. */
template <int THREADS, typename Key>
__device__ __forceinline__ void sort_keys(Key *keys, unsigned count)
{
    for (unsigned size = 2; size <= count; size *= 2)
        for (unsigned apart = size / 2; apart > 0; apart /= 2) {
            for (unsigned k = threadIdx.x; k < count / 2; k += THREADS) {
                const unsigned low = 2 * k - (k & (apart - 1)), high = low + apart;
                const Key a = keys[low], b = keys[high];
                if ((a > b) == ((low & size) == 0)) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
            /* Up to 32 apart, a warp's pairs lie among 64 keys that no other warp touches;
             * so do those of the next step unless it begins a larger size. */
            if (apart > 32 || (apart == 1 && size >= 64))
                __syncthreads();
            else
                __syncwarp();
        }
    __syncthreads();
}

} // namespace plugrt
