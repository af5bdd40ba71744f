/* Sums that blocks of a cluster share, each of which has a part in its shared memory. */
#pragma once
#include "clusters.cuh"
#include "matrix_instructions.cuh"

namespace plugrt {

__device__ __forceinline__ float load_one_from_block(unsigned address, unsigned rank)
{
    float found;
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(found) : "r"(there) : "memory");
    return found;
}

/* Adds up what SPLIT blocks have at the same place, in their order; they are read together, since
 * another block's shared memory is far away. */
template <int SPLIT, int WIDTH>
__device__ __forceinline__ void sum(const float *at, float (&values)[WIDTH])
{
    float seen[SPLIT][WIDTH];
#pragma unroll
    for (int k = 0; k < SPLIT; k++) {
        if constexpr (WIDTH == 1) {
            seen[k][0] = SPLIT > 1 ? load_one_from_block(shared_address(at), k) : *at;
        } else {
#pragma unroll
            for (int four = 0; four < WIDTH; four += 4) {
                const float4 part = SPLIT > 1 ? load_from_block(shared_address(at + four), k)
                                              : *reinterpret_cast<const float4 *>(at + four);
                seen[k][four] = part.x, seen[k][four + 1] = part.y;
                seen[k][four + 2] = part.z, seen[k][four + 3] = part.w;
            }
        }
    }
#pragma unroll
    for (int channel = 0; channel < WIDTH; channel++) {
        values[channel] = seen[0][channel];
#pragma unroll
        for (int k = 1; k < SPLIT; k++)
            values[channel] += seen[k][channel];
    }
}

} // namespace plugrt
