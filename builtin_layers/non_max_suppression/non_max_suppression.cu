/* NonMaxSuppression: a block for every image and class, then the rows of all of them together.
 *
 * Arithmetic on boxes is rounded step by step, as on the CPU: an overlap that equals the
 * threshold must not come out otherwise. */
#include "sorting.cuh"
#include "storage.cuh"

using namespace plugrt;

constexpr int THREADS = 256;
constexpr int WORDS = THREADS / 32;
constexpr int IN_SHARED = 2048; /* keys that are sorted in shared memory */

struct Box {
    float low[2], high[2];
};

__device__ __forceinline__ Box box_at(const float4 *boxes, unsigned index, int center)
{
    const float4 given = boxes[index];
    const float first[2] = {given.x, given.y}, second[2] = {given.z, given.w};
    Box box;
#pragma unroll
    for (int k = 0; k < 2; k++) {
        const float half = __fmul_rn(second[k], 0.5f);
        const float a = center ? __fsub_rn(first[k], half) : first[k];
        const float b = center ? __fadd_rn(first[k], half) : second[k];
        box.low[k] = fminf(a, b);
        box.high[k] = fmaxf(a, b);
    }
    return box;
}

/* Intersection over union; 0 where a box is empty. */
__device__ __forceinline__ float overlap(const Box &a, const Box &b)
{
    const float width = __fsub_rn(fminf(a.high[0], b.high[0]), fmaxf(a.low[0], b.low[0]));
    const float height = __fsub_rn(fminf(a.high[1], b.high[1]), fmaxf(a.low[1], b.low[1]));
    const float area_a =
        __fmul_rn(__fsub_rn(a.high[0], a.low[0]), __fsub_rn(a.high[1], a.low[1]));
    const float area_b =
        __fmul_rn(__fsub_rn(b.high[0], b.low[0]), __fsub_rn(b.high[1], b.low[1]));
    if (!(width > 0.0f) || !(height > 0.0f) || !(area_a > 0.0f) || !(area_b > 0.0f))
        return 0.0f;
    const float both = __fmul_rn(width, height);
    return __fdiv_rn(both, __fsub_rn(__fadd_rn(area_a, area_b), both));
}

/* Rising keys are falling scores, equal scores by rising box. */
__device__ __forceinline__ uint64 key_of(float score, unsigned box)
{
    unsigned bits = __float_as_uint(score == 0.0f ? 0.0f : score);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<uint64>(~bits) << 32 | box;
}

/* `keys` has room for `capacity`, a power of two, per image and class; its first places hold the
 * selected boxes in the end, `selected` their number. */
extern "C" __global__ void __launch_bounds__(256) select_boxes(const float4 *__restrict__ boxes,
    const float *__restrict__ scores, uint64 *keys, int64 *selected, int classes, unsigned count,
    unsigned capacity, unsigned limit, float most_overlap, float least_score, int center)
{
    __shared__ uint64 sorted[IN_SHARED];
    __shared__ unsigned candidates;
    __shared__ unsigned covers[THREADS][WORDS + 1];
    __shared__ unsigned kept[WORDS], chosen_count;
    const int image = blockIdx.x / classes;
    boxes += static_cast<long long>(image) * count;
    scores += static_cast<long long>(blockIdx.x) * count;
    keys += static_cast<long long>(blockIdx.x) * capacity;
    if (threadIdx.x == 0)
        candidates = 0;
    __syncthreads();
    for (unsigned k = threadIdx.x; k < count; k += THREADS)
        if (scores[k] > least_score)
            keys[atomicAdd(&candidates, 1u)] = key_of(scores[k], k);
    __syncthreads();
    const unsigned total = candidates;
    unsigned padded = 1;
    while (padded < total)
        padded *= 2;
    for (unsigned k = total + threadIdx.x; k < padded; k += THREADS)
        keys[k] = ~0ULL;
    __syncthreads();
    if (padded <= IN_SHARED) {
        for (unsigned k = threadIdx.x; k < padded; k += THREADS)
            sorted[k] = keys[k];
        __syncthreads();
        sort_keys<THREADS>(sorted, padded);
        for (unsigned k = threadIdx.x; k < total; k += THREADS)
            keys[k] = sorted[k];
        __syncthreads();
    } else {
        sort_keys<THREADS>(keys, padded);
    }
    unsigned found = 0;
    for (unsigned start = 0; start < total && found < limit; start += THREADS) {
        /* Every thread holds one candidate: is it covered by those selected before? */
        const unsigned here = total - start < THREADS ? total - start : THREADS;
        const unsigned index =
            threadIdx.x < here ? static_cast<unsigned>(keys[start + threadIdx.x]) : 0;
        Box box = {};
        bool open = threadIdx.x < here;
        if (open)
            box = box_at(boxes, index, center);
        for (unsigned k = 0; open && k < found; k++)
            open = !(overlap(box, box_at(boxes, static_cast<unsigned>(keys[k]), center))
                > most_overlap);
        /* And by which of those beside it that come earlier? */
        __shared__ Box beside[THREADS];
        __shared__ unsigned is_open[WORDS];
        beside[threadIdx.x] = box;
        const unsigned vote = __ballot_sync(0xffffffffu, open);
        if (threadIdx.x % 32 == 0)
            is_open[threadIdx.x / 32] = vote;
        __syncthreads();
        for (int word = 0; word < WORDS; word++) {
            unsigned covering = 0;
            if (open)
                for (int bit = 0; bit < 32; bit++) {
                    const unsigned other = word * 32 + bit;
                    if (other < threadIdx.x && is_open[word] >> bit & 1u
                        && overlap(box, beside[other]) > most_overlap)
                        covering |= 1u << bit;
                }
            covers[threadIdx.x][word] = covering;
        }
        __syncthreads();
        /* One warp goes through them in order. */
        if (threadIdx.x < 32) {
            const unsigned lane = threadIdx.x;
            unsigned mine = 0, room = limit - found, taken = 0;
            for (unsigned k = 0; k < here && taken < room; k++) {
                const bool covered = lane < WORDS && (covers[k][lane] & mine) != 0;
                const bool can = is_open[k / 32] >> (k % 32) & 1u;
                if (!__any_sync(0xffffffffu, covered) && can) {
                    taken++;
                    if (lane == k / 32)
                        mine |= 1u << (k % 32);
                }
            }
            if (lane < WORDS)
                kept[lane] = mine;
            if (lane == 0)
                chosen_count = taken;
        }
        __syncthreads();
        const unsigned word = threadIdx.x / 32, bit = threadIdx.x % 32;
        if (kept[word] >> bit & 1u) {
            unsigned place = found + __popc(kept[word] & ((1u << bit) - 1u));
            for (unsigned k = 0; k < word; k++)
                place += __popc(kept[k]);
            keys[place] = index; /* not beyond this round's keys, which are all read */
        }
        found += chosen_count;
        __syncthreads();
    }
    if (threadIdx.x == 0)
        selected[blockIdx.x] = found;
}

/* Rows (image, class, box), group by group, and their number. */
extern "C" __global__ void __launch_bounds__(256) write_boxes(const uint64 *__restrict__ keys,
    const int64 *__restrict__ selected, int64 *__restrict__ rows, int64 *__restrict__ number,
    int classes, unsigned capacity)
{
    __shared__ unsigned long long before;
    if (threadIdx.x == 0)
        before = 0;
    __syncthreads();
    unsigned long long mine = 0;
    for (unsigned k = threadIdx.x; k < blockIdx.x; k += THREADS)
        mine += selected[k];
    if (mine)
        atomicAdd(&before, mine);
    __syncthreads();
    const int64 first = before, count = selected[blockIdx.x];
    keys += static_cast<long long>(blockIdx.x) * capacity;
    for (int64 k = threadIdx.x; k < count; k += THREADS) {
        int64 *row = rows + 3 * (first + k);
        row[0] = blockIdx.x / classes;
        row[1] = blockIdx.x % classes;
        row[2] = static_cast<int64>(keys[k]);
    }
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0)
        *number = first + count;
}

/* For no groups at all. */
extern "C" __global__ void write_zero(int64 *number) { *number = 0; }
