/* Blocks of a cluster, which see each other's shared memory: sm_90 and newer. Elsewhere this
 * compiles and does nothing. */
#pragma once

namespace plugrt {

/* Every thread of every block of the cluster comes here before one goes on. */
__device__ __forceinline__ void cluster_barrier()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release;\n"
                 "barrier.cluster.wait.acquire;" ::: "memory");
#endif
}

/* Four floats at an address of shared memory of block `rank` of the cluster. */
__device__ __forceinline__ float4 load_from_block(unsigned address, unsigned rank)
{
    float4 found = {};
#if __CUDA_ARCH__ >= 900
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
        : "=f"(found.x), "=f"(found.y), "=f"(found.z), "=f"(found.w)
        : "r"(there)
        : "memory");
#endif
    return found;
}

} // namespace plugrt
