/* Lists of the candidates for boxes in the values that heads' convolutions leave. keep_boxes
 * follows. */
#include "candidates.cuh"
#include "dependency.cuh"

/* keep_boxes awaits its predecessors, so it may begin as soon as all blocks of this one have. */
__device__ __forceinline__ void release_keep_boxes()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

constexpr int LIST_THREADS = 256;
constexpr int LIST_BOXES = 64; /* whose candidates a block lists */

/* Lists the candidates of LIST_BOXES boxes of a head: every class of every box whose objectness
 * and score exceed `threshold`. Blocks for boxes, as the heads number them, and images. */
template <typename T>
__global__ void __launch_bounds__(LIST_THREADS) list_candidates(const T *v0, const T *v1,
    const T *v2, const T *v3, const T *v4, const T *v5, const T *v6, const T *v7,
    const float *__restrict__ sizes, Candidate *lists, unsigned *list_counts,
    const __grid_constant__ AllNumbers numbers, const __grid_constant__ AllExtents extents,
    const __grid_constant__ AllScaling scaling, const __grid_constant__ AllStrides strides,
    const __grid_constant__ ImageStrides image_strides, int head_count, int classes, int total,
    float threshold)
{
    __shared__ Head<T> heads[MOST_HEADS];
    __shared__ unsigned char likely[LIST_BOXES];
    __shared__ unsigned likely_count, found;
    const T *const values[MOST_HEADS] = {v0, v1, v2, v3, v4, v5, v6, v7};
    share_heads(heads, values, sizes, numbers, scaling, extents, strides, image_strides,
        head_count, blockIdx.y);
    if (threadIdx.x == 0)
        likely_count = found = 0;
    __syncthreads();
    int h = head_count - 1;
#pragma unroll 1
    while (static_cast<int>(blockIdx.x) < heads[h].numbers.first_block)
        h--;
    const Head<T> &head = heads[h];
    const int start = (blockIdx.x - head.numbers.first_block) * LIST_BOXES;
    const int box = start + threadIdx.x;
    await_predecessors();
    release_keep_boxes();
    if (threadIdx.x < LIST_BOXES && box < head.boxes()
        && head.objectness(head.at(head.place(box))) > threshold)
        likely[atomicAdd(&likely_count, 1u)] = static_cast<unsigned char>(threadIdx.x);
    __syncthreads();
    const unsigned list = blockIdx.y * gridDim.x + blockIdx.x;
    Candidate *own = lists + static_cast<long long>(list) * LIST_ROOM;
#pragma unroll 1
    for (unsigned k = threadIdx.x / 32; k < likely_count; k += LIST_THREADS / 32)
        visit_box(head, start + likely[k], classes, total, threshold,
            [&](const Candidate &candidate) {
                const unsigned place = atomicAdd(&found, 1u);
                if (place < LIST_ROOM)
                    own[place] = candidate;
            });
    __syncthreads();
    if (threadIdx.x == 0)
        list_counts[list] = found;
}
