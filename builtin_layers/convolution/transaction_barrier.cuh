/* Barriers in shared memory that copies arrive at (sm_90 and newer). Addresses are shared ones. */
#pragma once
#include "storage.cuh"

namespace plugrt {

/* A turn of the barrier takes so many arrivals. */
__device__ __forceinline__ void set_barrier(unsigned barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
        : "memory");
}

/* Makes barriers that were set known to copies; other threads still have to be waited for. */
__device__ __forceinline__ void publish_barriers()
{
    asm volatile("fence.mbarrier_init.release.cluster;\n"
                 "fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive(unsigned barrier)
{
    asm volatile("{\n.reg .b64 state;\n"
                 "mbarrier.arrive.shared::cta.b64 state, [%0];\n}" ::"r"(barrier)
        : "memory");
}

/* Arrives, and lets the turn end when so many bytes of bulk copies have come, too. */
__device__ __forceinline__ void expect_bytes(unsigned barrier, unsigned bytes)
{
    asm volatile("{\n.reg .b64 state;\n"
                 "mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;\n}" ::"r"(barrier),
        "r"(bytes)
        : "memory");
}

/* Arrives when what the thread began to copy with `copy_async` is there. */
__device__ __forceinline__ void arrive_when_copied(unsigned barrier)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier)
        : "memory");
}

/* Returns when the turn of this parity has ended; a new barrier's first turn has parity 0. */
__device__ __forceinline__ void await(unsigned barrier, unsigned parity)
{
    asm volatile("{\n.reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

/* Starts to copy bytes, a multiple of 16, into shared memory: one thread does it for all. */
__device__ __forceinline__ void copy_bulk(
    unsigned to, const void *from, unsigned bytes, unsigned barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"(to),
        "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(barrier)
        : "memory");
}

} // namespace plugrt
