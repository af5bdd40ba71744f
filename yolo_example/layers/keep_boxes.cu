/* Boxes out of candidates: the best ones, sorted, without those found twice. */
#include "dependency.cuh"
#include "keeping.cuh"

constexpr int GROUP = 8; /* threads for a list */
constexpr int GROUPS = THREADS / GROUP;
constexpr int AHEAD = 4; /* lists of a group whose lengths are read together */

/* Collects all candidates of an image, in any order, and their number; false where there is no room
 * for all of them, here or in a list. `boxes` gets those of the first CHUNK. */
__device__ __forceinline__ bool gather(const Candidate *lists, const unsigned *list_counts,
    int list_count, unsigned capacity, uint64 *keys, Box *boxes, unsigned &found)
{
    const unsigned lane = threadIdx.x % GROUP;
    const unsigned group = (1u << GROUP) - 1u << threadIdx.x % 32 / GROUP * GROUP;
    bool fits = true;
#pragma unroll 1
    for (int first = threadIdx.x / GROUP; first < list_count; first += AHEAD * GROUPS) {
        unsigned counts[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            const int list = first + k * GROUPS;
            counts[k] = list < list_count ? list_counts[list] : 0;
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            const unsigned count = counts[k];
            if (count == 0)
                continue;
            const Candidate *list = lists + static_cast<long long>(first + k * GROUPS) * LIST_ROOM;
            Candidate candidate;
            if (lane < count)
                candidate = list[lane];
            unsigned place = lane == 0 ? atomicAdd(&found, count) : 0;
            place = __shfl_sync(group, place, 0, GROUP);
            if (count > LIST_ROOM || place + count > capacity) {
                fits = false;
                continue;
            }
#pragma unroll 1
            for (unsigned j = lane; j < count;) {
                keys[place + j] = candidate.key;
                if (place + j < CHUNK)
                    boxes[place + j] = candidate.box;
                j += GROUP;
                if (j < count)
                    candidate = list[j];
            }
        }
    }
    return !__syncthreads_or(!fits);
}

/* A block for every image; keeping.cuh says what it does. */
template <typename T>
__global__ void __launch_bounds__(THREADS) keep_boxes(const T *v0, const T *v1, const T *v2,
    const T *v3, const T *v4, const T *v5, const T *v6, const T *v7,
    const float *__restrict__ sizes, const Candidate *lists, const unsigned *list_counts,
    float *rows, float *kept, int64 *counts, const __grid_constant__ AllNumbers numbers,
    const __grid_constant__ AllExtents extents, const __grid_constant__ AllScaling scaling,
    const __grid_constant__ AllStrides strides,
    const __grid_constant__ ImageStrides image_strides, int head_count, int classes, int total,
    float threshold, int list_count, unsigned capacity, unsigned limit, float tolerated,
    float power)
{
    extern __shared__ uint64 keys[]; /* [capacity] */
    __shared__ Shared<T> shared;
    const int image = blockIdx.x;
    const Rules rules{head_count, classes, total, threshold, capacity, limit, tolerated, power};
    const T *const values[MOST_HEADS] = {v0, v1, v2, v3, v4, v5, v6, v7};
    share_heads(shared.heads, values, sizes, numbers, scaling, extents, strides, image_strides,
        head_count, image);
    clear(shared.scratch.chunk);
    if (threadIdx.x == 0)
        shared.found = 0;
    __syncthreads();
    await_predecessors();
    const long long first_list = static_cast<long long>(image) * list_count;
    const long long first_row = static_cast<long long>(image) * limit * ROW;
    const bool fits = gather(lists + first_list * LIST_ROOM, list_counts + first_list, list_count,
        capacity, keys, shared.boxes, shared.found);
    rows += first_row;
    kept += first_row;
    if (fits && shared.found <= CHUNK)
        keep_few(shared, keys, rules, kept, counts + image);
    else
        keep_many(shared, keys, fits, rules, rows, kept, counts + image);
}
