/* Kernels that begin while what precedes them on their stream still runs.
 *
 * A source that includes this header is launched so (sm_90 and newer; elsewhere one kernel begins
 * when the other has ended). Every thread calls `await_predecessors` before it reads what another
 * kernel writes, and before it writes anything: constants it may read at once. What is read after
 * it must not be declared __restrict__ and const, since such loads may be moved before it. */
#pragma once

namespace plugrt {

/* Returns when the kernels before this one have ended and what they wrote is visible. */
__device__ __forceinline__ void await_predecessors()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Lets the next kernel begin, once every block has come here; otherwise it begins when every block
 * has ended. Off unless PLUGRT_RELEASE_EARLY is defined: cuDNN launches kernels so that they may
 * begin early too, and behind a kernel that releases them some read what is not yet written,
 * where nothing holds them back. */
__device__ __forceinline__ void release_successors()
{
#if __CUDA_ARCH__ >= 900 && defined(PLUGRT_RELEASE_EARLY)
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

} // namespace plugrt
