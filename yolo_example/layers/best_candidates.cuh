/* The best candidates of an image, found and sorted by a block of threads. What few images need is
 * called, so that the others fetch fewer instructions. */
#pragma once
#include "candidates.cuh"
#include "sorting.cuh"
#include "suppression.cuh"

constexpr int THREADS = 512;
constexpr int WARPS = THREADS / 32;
constexpr int TILE = 8 * THREADS; /* boxes whose objectness is looked at before classes are */
constexpr int PARTS = THREADS / CHUNK;

/* They are not used at the same time. */
union Scratch {
    unsigned short likely[TILE];
    Chunk chunk;
};

/* What a block shares besides the candidates' keys. */
template <typename T> struct __align__(16) Shared {
    Box boxes[CHUNK]; /* of the first candidates */
    Scratch scratch;
    Head<T> heads[MOST_HEADS];
    uint64 known;
    unsigned found, likely_count;
};

/* What is asked for; `total` counts the boxes of an image. */
struct Rules {
    int head_count, classes, total;
    float threshold;
    unsigned capacity, limit;
    float tolerated, power;
};

/* Shows `visit` all candidates of a head; a block together, which is slow. */
template <typename T, typename Visit>
__device__ __forceinline__ void visit_head(const Head<T> &head, int classes, int total,
    float threshold, unsigned short *likely, unsigned &likely_count, Visit visit)
{
    const int boxes = head.boxes();
    for (int start = 0; start < boxes; start += TILE) {
        if (threadIdx.x == 0)
            likely_count = 0;
        __syncthreads();
        for (int k = threadIdx.x; k < TILE && start + k < boxes; k += THREADS)
            if (head.objectness(head.at(head.place(start + k))) > threshold)
                likely[atomicAdd(&likely_count, 1u)] = static_cast<unsigned short>(k);
        __syncthreads();
        for (unsigned k = threadIdx.x / 32; k < likely_count; k += WARPS)
            visit_box(head, start + likely[k], classes, total, threshold, visit);
        __syncthreads();
    }
}

/* Sorts `keys` in rising order; there is room for the next power of two. */
__device__ __noinline__ void sort_many(uint64 *keys, unsigned found)
{
    unsigned count = 1;
    while (count < found)
        count *= 2;
    for (unsigned k = found + threadIdx.x; k < count; k += THREADS)
        keys[k] = ~0ULL;
    __syncthreads();
    sort_keys<THREADS>(keys, count);
}

/* The keys of the best `capacity` candidates of an image, where the lists did not have room for
 * all. Collects the candidates; where they are too many, finds the key of the first one too many,
 * eight bits at a time from a histogram of those that agree in the bits before, and collects those
 * below it. */
template <typename T>
__device__ __noinline__ void choose_candidates(Shared<T> &shared, uint64 *keys, const Rules &rules)
{
    constexpr int COLLECTING = 64;
    unsigned *histogram = reinterpret_cast<unsigned *>(keys);
    uint64 beyond = ~0ULL;
    unsigned rank = rules.capacity;
    for (int shift = COLLECTING;;) {
        __syncthreads();
        if (threadIdx.x == 0)
            shared.found = 0;
        if (shift != COLLECTING)
            for (unsigned k = threadIdx.x; k < 256; k += THREADS)
                histogram[k] = 0;
        __syncthreads();
        const uint64 prefix = shift == 56 ? 0 : shared.known;
        for (int h = 0; h < rules.head_count; h++)
            visit_head(shared.heads[h], rules.classes, rules.total, rules.threshold,
                shared.scratch.likely, shared.likely_count,
                [&](const Candidate &candidate) {
                    const uint64 key = candidate.key;
                    if (shift == COLLECTING) {
                        if (key >= beyond)
                            return;
                        const unsigned place = atomicAdd(&shared.found, 1u);
                        if (place < rules.capacity)
                            keys[place] = key;
                    } else if (shift == 56 || (key ^ prefix) >> (shift + 8) == 0) {
                        atomicAdd(&histogram[key >> shift & 255], 1u);
                    }
                });
        if (shift == COLLECTING) {
            if (shared.found <= rules.capacity)
                return;
            shift = 56;
            continue;
        }
        if (threadIdx.x == 0) {
            unsigned bits = 0;
            for (; histogram[bits] <= rank; bits++)
                rank -= histogram[bits];
            shared.known = prefix | static_cast<uint64>(bits) << shift;
        }
        __syncthreads();
        beyond = shared.known;
        shift = shift == 0 ? COLLECTING : shift - 8;
    }
}
