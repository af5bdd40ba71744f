/* Boxes out of activated values, and the suppression of those found twice: boxes.c and
 * suppression.c on a GPU, for several heads and images. */
#include "storage.cuh"

using namespace plugrt;

constexpr int THREADS = 256;
constexpr int WORDS = THREADS / 32;
constexpr int ROW = 6; /* x, y, width, height, score, class */

struct Strides {
    long long of[4]; /* images, planes, rows, columns */
};

struct Cells {
    int anchors, planes, height, width, objectness, first_class, classes, squared;
};

__device__ __forceinline__ unsigned rising(float value)
{
    const unsigned bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* A thread for every anchor of every cell. What exceeds the threshold is added to its image's
 * list: a row, and a key that sorts by falling score, then by head, cell, anchor and class as
 * `order` counts them. `found` counts also what the list has no room for. */
template <typename T>
__global__ void __launch_bounds__(256) decode_cells(const T *__restrict__ values,
    const float *__restrict__ sizes, float *__restrict__ rows, uint64 *__restrict__ keys,
    unsigned *__restrict__ found, unsigned count, Cells cells, float threshold, float corner,
    unsigned order, unsigned capacity, Strides from)
{
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    if (rest >= count)
        return;
    const int x = rest % cells.width;
    rest /= cells.width;
    const int y = rest % cells.height;
    rest /= cells.height;
    const int anchor = rest % cells.anchors, n = rest / cells.anchors;
    const T *v = values + n * from.of[0] + anchor * cells.planes * from.of[1] + y * from.of[2]
        + x * from.of[3];
    const float objectness =
        cells.objectness < 0 ? 1.0f : widen<float>(v[cells.objectness * from.of[1]]);
    if (!(objectness > threshold))
        return;
    const float w = widen<float>(v[2 * from.of[1]]), h = widen<float>(v[3 * from.of[1]]);
    float box[4];
    box[2] = (cells.squared ? 4.0f * w * w : expf(w)) * sizes[2 * anchor];
    box[3] = (cells.squared ? 4.0f * h * h : expf(h)) * sizes[2 * anchor + 1];
    box[0] = (x + widen<float>(v[0])) / cells.width + corner * box[2];
    box[1] = (y + widen<float>(v[from.of[1]])) / cells.height + corner * box[3];
    if (!isfinite(box[0]) || !isfinite(box[1]) || !isfinite(box[2]) || !isfinite(box[3]))
        return;
    const unsigned first =
        order + ((y * cells.width + x) * cells.anchors + anchor) * cells.classes;
    for (int c = 0; c < cells.classes; c++) {
        const float score =
            objectness * widen<float>(v[(cells.first_class + c) * from.of[1]]);
        if (!(score > threshold))
            continue;
        const unsigned place = atomicAdd(&found[n], 1u);
        if (place >= capacity)
            continue;
        float *row = rows + (static_cast<long long>(n) * capacity + place) * ROW;
#pragma unroll
        for (int k = 0; k < 4; k++)
            row[k] = box[k];
        row[4] = score;
        row[5] = static_cast<float>(c);
        uint64 *key = keys + 2 * (static_cast<long long>(n) * capacity + place);
        key[0] = static_cast<uint64>(~rising(score)) << 32 | (first + c);
        key[1] = place;
    }
}

struct Bounds {
    float left, right, top, bottom, area;
};

__device__ __forceinline__ Bounds bounds_of(const float *row)
{
    const float x = row[0], y = row[1], w = row[2], h = row[3];
    return Bounds{__fsub_rn(x, w / 2), __fadd_rn(x, w / 2), __fsub_rn(y, h / 2),
        __fadd_rn(y, h / 2), __fmul_rn(w, h)};
}

__device__ __forceinline__ float overlap(const Bounds &a, const Bounds &b)
{
    const float w = __fsub_rn(fminf(a.right, b.right), fmaxf(a.left, b.left));
    const float h = __fsub_rn(fminf(a.bottom, b.bottom), fmaxf(a.top, b.top));
    if (!(w > 0.0f) || !(h > 0.0f))
        return 0.0f;
    const float both = __fmul_rn(w, h);
    return __fdiv_rn(both, __fsub_rn(__fadd_rn(a.area, b.area), both));
}

/* Zhao et al., Distance-IoU Loss (arXiv:1911.08287), with a power; 0 leaves the overlap. */
__device__ __forceinline__ bool covers(
    const Bounds &a, const Bounds &b, float threshold, float power)
{
    const float shared = overlap(a, b);
    if (!(shared > threshold) || !(power > 0.0f))
        return shared > threshold;
    const float w = fmaxf(a.right, b.right) - fminf(a.left, b.left);
    const float h = fmaxf(a.bottom, b.bottom) - fminf(a.top, b.top);
    const float across = (a.left + a.right - b.left - b.right) / 2;
    const float down = (a.top + a.bottom - b.top - b.bottom) / 2;
    const float diagonal = w * w + h * h;
    const float penalty =
        diagonal > 0.0f ? powf((across * across + down * down) / diagonal, power) : 0.0f;
    return shared - penalty > threshold;
}

/* A block for every image. Sorts its list, which has room for `capacity` rows, a power of two;
 * then, from the highest score down, keeps the rows that no kept row of their class covers and
 * writes them to `kept`, at most `limit`, their number to `counts`; zeros fill what is left. */
extern "C" __global__ void __launch_bounds__(256) suppress_boxes(
    const float *__restrict__ rows, ulonglong2 *__restrict__ keys,
    const unsigned *__restrict__ found, float *__restrict__ kept, int64 *__restrict__ counts,
    unsigned capacity, unsigned limit, float threshold, float power)
{
    __shared__ Bounds beside[THREADS];
    __shared__ float labels[THREADS];
    __shared__ unsigned covered_by[THREADS][WORDS + 1];
    __shared__ unsigned is_open[WORDS], taken[WORDS], taken_count;
    rows += static_cast<long long>(blockIdx.x) * capacity * ROW;
    keys += static_cast<long long>(blockIdx.x) * capacity;
    kept += static_cast<long long>(blockIdx.x) * limit * ROW;
    const unsigned total = found[blockIdx.x] < capacity ? found[blockIdx.x] : capacity;
    unsigned padded = 1;
    while (padded < total)
        padded *= 2;
    for (unsigned k = total + threadIdx.x; k < padded; k += THREADS)
        keys[k] = make_ulonglong2(~0ULL, 0);
    __syncthreads();
    for (unsigned size = 2; size <= padded; size *= 2)
        for (unsigned apart = size / 2; apart > 0; apart /= 2) {
            for (unsigned k = threadIdx.x; k < padded / 2; k += THREADS) {
                const unsigned low = 2 * k - (k & (apart - 1)), high = low + apart;
                const ulonglong2 a = keys[low], b = keys[high];
                if ((a.x > b.x) == ((low & size) == 0)) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
            __syncthreads();
        }
    unsigned count = 0;
    for (unsigned start = 0; start < total && count < limit; start += THREADS) {
        const unsigned here = total - start < THREADS ? total - start : THREADS;
        const bool exists = threadIdx.x < here;
        const float *row = rows + (exists ? keys[start + threadIdx.x].y : 0) * ROW;
        const Bounds box = bounds_of(row);
        const float label = row[5];
        bool open = exists;
        for (unsigned k = 0; open && k < count; k++)
            open = kept[k * ROW + 5] != label
                || !covers(bounds_of(kept + k * ROW), box, threshold, power);
        beside[threadIdx.x] = box;
        labels[threadIdx.x] = label;
        const unsigned vote = __ballot_sync(0xffffffffu, open);
        if (threadIdx.x % 32 == 0)
            is_open[threadIdx.x / 32] = vote;
        __syncthreads();
        for (int word = 0; word < WORDS; word++) {
            unsigned covering = 0;
            if (open)
                for (int bit = 0; bit < 32; bit++) {
                    const unsigned other = word * 32 + bit;
                    if (other < threadIdx.x && is_open[word] >> bit & 1u && labels[other] == label
                        && covers(beside[other], box, threshold, power))
                        covering |= 1u << bit;
                }
            covered_by[threadIdx.x][word] = covering;
        }
        __syncthreads();
        if (threadIdx.x < 32) {
            const unsigned lane = threadIdx.x;
            unsigned mine = 0, chosen = 0;
            for (unsigned k = 0; k < here && count + chosen < limit; k++) {
                const bool covered = lane < WORDS && (covered_by[k][lane] & mine) != 0;
                const bool can = is_open[k / 32] >> (k % 32) & 1u;
                if (!__any_sync(0xffffffffu, covered) && can) {
                    chosen++;
                    if (lane == k / 32)
                        mine |= 1u << (k % 32);
                }
            }
            if (lane < WORDS)
                taken[lane] = mine;
            if (lane == 0)
                taken_count = chosen;
        }
        __syncthreads();
        const unsigned word = threadIdx.x / 32, bit = threadIdx.x % 32;
        if (taken[word] >> bit & 1u) {
            unsigned place = count + __popc(taken[word] & ((1u << bit) - 1u));
            for (unsigned k = 0; k < word; k++)
                place += __popc(taken[k]);
#pragma unroll
            for (int k = 0; k < ROW; k++)
                kept[place * ROW + k] = row[k];
        }
        count += taken_count;
        __syncthreads();
    }
    for (unsigned k = count * ROW + threadIdx.x; k < limit * ROW; k += THREADS)
        kept[k] = 0.0f;
    if (threadIdx.x == 0)
        counts[blockIdx.x] = count;
}

/* Before the first head of an inference. */
extern "C" __global__ void start_lists(unsigned *found, unsigned images)
{
    const unsigned n = blockIdx.x * 256u + threadIdx.x;
    if (n < images)
        found[n] = 0;
}
