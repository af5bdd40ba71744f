/* Lists of the candidates for boxes in the values that heads' convolutions leave. */
#include "candidates.cuh"

constexpr int LIST_THREADS = 256;
constexpr int LIST_BOXES = 64; /* whose candidates a block lists */

/* Lists the candidates of LIST_BOXES boxes of a head: every class of every box whose objectness
 * and score exceed `threshold`. Blocks for boxes, as the heads number them, and images. */
template <typename T>
__global__ void __launch_bounds__(LIST_THREADS) list_candidates(const T *__restrict__ v0,
    const T *__restrict__ v1, const T *__restrict__ v2, const T *__restrict__ v3,
    const T *__restrict__ v4, const T *__restrict__ v5, const T *__restrict__ v6,
    const T *__restrict__ v7, const float *__restrict__ sizes, uint64 *__restrict__ lists,
    unsigned *__restrict__ list_counts, AllNumbers numbers, AllScaling scaling,
    AllStrides strides, ImageStrides image_strides, int head_count, int classes, int total,
    float threshold)
{
    __shared__ Head<T> heads[MOST_HEADS];
    __shared__ unsigned char likely[LIST_BOXES];
    __shared__ unsigned likely_count, found;
    const T *const values[MOST_HEADS] = {v0, v1, v2, v3, v4, v5, v6, v7};
    share_heads(heads, values, sizes, numbers, scaling, strides, image_strides, head_count,
        blockIdx.y);
    if (threadIdx.x == 0)
        likely_count = found = 0;
    __syncthreads();
    int h = head_count - 1;
    while (static_cast<int>(blockIdx.x) < heads[h].numbers.first_block)
        h--;
    const Head<T> &head = heads[h];
    const int start = (blockIdx.x - head.numbers.first_block) * LIST_BOXES;
    const int box = start + threadIdx.x;
    if (threadIdx.x < LIST_BOXES && box < head.boxes()
        && head.objectness(head.at(box)) > threshold)
        likely[atomicAdd(&likely_count, 1u)] = static_cast<unsigned char>(threadIdx.x);
    __syncthreads();
    const unsigned list = blockIdx.y * gridDim.x + blockIdx.x;
    uint64 *own = lists + static_cast<long long>(list) * LIST_ROOM;
    for (unsigned k = threadIdx.x / 32; k < likely_count; k += LIST_THREADS / 32)
        visit_box(head, start + likely[k], classes, total, threshold, [&](uint64 key) {
            const unsigned place = atomicAdd(&found, 1u);
            if (place < LIST_ROOM)
                own[place] = key;
        });
    __syncthreads();
    if (threadIdx.x == 0)
        list_counts[list] = found;
}
