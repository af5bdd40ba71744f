/* Kernels that begin while what precedes them on their stream still runs.
 *
 * A source that includes this header is launched so (sm_90 and newer; elsewhere one kernel begins
 * when the other has ended): its blocks begin as those ahead of them end. Every thread calls
 * `await_predecessors` before it reads what another kernel writes, and before it writes anything:
 * constants it may read at once. What is read after it must not be declared __restrict__ and
 * const, since such loads may be moved before it.
 *
 * No kernel lets those of other layers begin sooner: networks were not faster for it, and kernels
 * of libraries, some of which do not wait, read what was not yet written. */
#pragma once

namespace plugrt {

/* Returns when the kernels before this one have ended and what they wrote is visible. */
__device__ __forceinline__ void await_predecessors()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

} // namespace plugrt
