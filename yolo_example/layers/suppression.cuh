/* Suppression of boxes found twice, as suppression.c does, by a block of threads. */
#pragma once
#include "candidates.cuh"

constexpr int CHUNK = 256; /* candidates that are compared with each other at a time */
constexpr int WORDS = CHUNK / 32;
constexpr int BUCKETS = 128; /* of classes */

struct __align__(16) Bounds {
    float left, right, top, bottom;
};

struct __align__(8) Kind {
    float area;
    int label;
};

__device__ __forceinline__ Bounds bounds_of(const Box &box)
{
    return Bounds{__fsub_rn(box.x, box.width / 2), __fadd_rn(box.x, box.width / 2),
        __fsub_rn(box.y, box.height / 2), __fadd_rn(box.y, box.height / 2)};
}

__device__ __forceinline__ float area_of(const Box &box)
{
    return __fmul_rn(box.width, box.height);
}

/* Intersection over union. */
__device__ __forceinline__ float overlap(
    const Bounds &a, const Bounds &b, float area_a, float area_b)
{
    const float w = __fsub_rn(fminf(a.right, b.right), fmaxf(a.left, b.left));
    const float h = __fsub_rn(fminf(a.bottom, b.bottom), fmaxf(a.top, b.top));
    if (!(w > 0.0f) || !(h > 0.0f))
        return 0.0f;
    const float both = __fmul_rn(w, h);
    return __fdiv_rn(both, __fsub_rn(__fadd_rn(area_a, area_b), both));
}

/* Zhao et al., Distance-IoU Loss (arXiv:1911.08287), with a power. */
__device__ __noinline__ float distance_penalty(const Bounds &a, const Bounds &b, float power)
{
    const float w = fmaxf(a.right, b.right) - fminf(a.left, b.left);
    const float h = fmaxf(a.bottom, b.bottom) - fminf(a.top, b.top);
    const float across = (a.left + a.right - b.left - b.right) / 2;
    const float down = (a.top + a.bottom - b.top - b.bottom) / 2;
    const float diagonal = w * w + h * h;
    return diagonal > 0.0f ? powf((across * across + down * down) / diagonal, power) : 0.0f;
}

/* Whether the overlap of two exceeds a threshold; a power of 0 leaves it as it is. */
__device__ __forceinline__ bool covers(const Bounds &a, const Bounds &b, float area_a,
    float area_b, float threshold, float power)
{
    const float shared = overlap(a, b, area_a, area_b);
    if (shared > threshold && power > 0.0f)
        return shared - distance_penalty(a, b, power) > threshold;
    return shared > threshold;
}

/* Candidates of a chunk, by falling score. */
struct Chunk {
    Bounds bounds[CHUNK];
    Kind kinds[CHUNK];
    unsigned covered_by[WORDS][CHUNK];
    unsigned of_class[BUCKETS][WORDS];
    unsigned open[WORDS], kept[WORDS];
};

/* Empties the classes of a chunk, and the first row of `covered_by`. */
__device__ __forceinline__ void clear(Chunk &chunk)
{
    for (unsigned k = threadIdx.x; k < BUCKETS * WORDS; k += blockDim.x)
        chunk.of_class[k / WORDS][k % WORDS] = 0;
    if (threadIdx.x < CHUNK)
        chunk.covered_by[0][threadIdx.x] = 0;
}

/* Puts a candidate at its place in the chunk. */
__device__ __forceinline__ void put(Chunk &chunk, unsigned place, const Box &box, int label)
{
    chunk.bounds[place] = bounds_of(box);
    chunk.kinds[place] = Kind{area_of(box), label};
    atomicOr(&chunk.of_class[label % BUCKETS][place / 32], 1u << place % 32);
}

/* Marks in `chunk.kept` which of the open candidates stay: those that no kept one of a higher
 * score covers. Every round decides all that wait for nobody. Returns the number of them. */
__device__ __forceinline__ unsigned choose(Chunk &chunk)
{
    const int candidate = threadIdx.x, word = candidate / 32;
    const bool takes_part = candidate < CHUNK;
    bool is_waiting = takes_part && (chunk.open[word] >> (candidate % 32) & 1u);
    while (__syncthreads_or(is_waiting)) {
        bool is_covered = false, is_free = true;
        if (is_waiting)
#pragma unroll
            for (int w = 0; w < WORDS; w++) {
                if (w > word)
                    break;
                const unsigned covering = chunk.covered_by[w][candidate];
                is_covered |= (covering & chunk.kept[w]) != 0;
                is_free &= (covering & chunk.open[w]) == 0;
            }
        __syncthreads();
        if (takes_part) {
            const bool stays = is_waiting && !is_covered && is_free;
            const unsigned staying = __ballot_sync(0xffffffffu, stays);
            is_waiting = is_waiting && !is_covered && !stays;
            const unsigned waiting = __ballot_sync(0xffffffffu, is_waiting);
            if (candidate % 32 == 0) {
                chunk.kept[word] |= staying;
                chunk.open[word] = waiting;
            }
        }
    }
    unsigned count = 0;
#pragma unroll
    for (int w = 0; w < WORDS; w++)
        count += __popc(chunk.kept[w]);
    return count;
}
