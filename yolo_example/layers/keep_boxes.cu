/* Boxes out of candidates: the best ones, sorted, without those found twice. */
#include "candidates.cuh"
#include "suppression.cuh"

constexpr int THREADS = 512;
constexpr int WARPS = THREADS / 32;
constexpr int TILE = 8 * THREADS; /* boxes whose objectness is looked at before classes are */
constexpr int PARTS = THREADS / CHUNK;
constexpr int ROW = 6; /* x, y, width, height, score, class */

/* Lists that hold something, as many as are copied at a time. */
struct Filled {
    int list[THREADS];
    unsigned place[THREADS], count[THREADS];
};

/* They are not used at the same time. */
union Scratch {
    Filled filled;
    unsigned short likely[TILE];
    Chunk chunk;
};

/* Shows `visit` the keys of all candidates of a head; a block together, which is slow. */
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
            if (head.objectness(head.at(start + k)) > threshold)
                likely[atomicAdd(&likely_count, 1u)] = static_cast<unsigned short>(k);
        __syncthreads();
        for (unsigned k = threadIdx.x / 32; k < likely_count; k += WARPS)
            visit_box(head, start + likely[k], classes, total, threshold, visit);
        __syncthreads();
    }
}

/* The keys of all lists of an image one behind the other, in any order, and their number; false
 * where there is no room for all of them, here or in a list. */
__device__ __forceinline__ bool gather(const uint64 *__restrict__ lists,
    const unsigned *__restrict__ list_counts, int list_count, Filled &filled,
    unsigned &filled_count, uint64 *__restrict__ keys, unsigned capacity, unsigned &found)
{
    bool fits = true;
    if (threadIdx.x == 0)
        found = 0;
    for (int start = 0; start < list_count; start += THREADS) {
        if (threadIdx.x == 0)
            filled_count = 0;
        __syncthreads();
        const int list = start + threadIdx.x;
        const unsigned count = list < list_count ? list_counts[list] : 0;
        if (count > 0) {
            const unsigned place = atomicAdd(&found, count), entry = atomicAdd(&filled_count, 1u);
            fits = fits && count <= LIST_ROOM && place + count <= capacity;
            filled.list[entry] = list;
            filled.place[entry] = place;
            filled.count[entry] = count;
        }
        if (__syncthreads_or(!fits))
            return false;
        for (unsigned entry = threadIdx.x / 32; entry < filled_count; entry += WARPS)
            for (unsigned k = threadIdx.x % 32; k < filled.count[entry]; k += 32)
                keys[filled.place[entry] + k] = lists[filled.list[entry] * LIST_ROOM + k];
        __syncthreads();
    }
    return true;
}

/* Sorts up to CHUNK different keys in rising order: each is put behind those that are less. */
__device__ __forceinline__ void sort_few(uint64 *keys, unsigned count, unsigned *ranks)
{
    const unsigned mine = threadIdx.x % CHUNK, part = threadIdx.x / CHUNK;
    if (part == 0)
        ranks[mine] = 0;
    const uint64 key = mine < count ? keys[mine] : 0;
    __syncthreads();
    const unsigned share = (count + PARTS - 1) / PARTS;
    const unsigned end = min((part + 1) * share, count);
    unsigned less = 0;
#pragma unroll 4
    for (unsigned k = part * share; k < end; k++)
        less += keys[k] < key;
    if (mine < count)
        atomicAdd(&ranks[mine], less);
    __syncthreads();
    if (part == 0 && mine < count)
        keys[ranks[mine]] = key;
    __syncthreads();
}

/* Sorts `keys` in rising order; there is room for the next power of two. */
__device__ __forceinline__ void sort_many(uint64 *keys, unsigned found)
{
    unsigned count = 1;
    while (count < found)
        count *= 2;
    for (unsigned k = found + threadIdx.x; k < count; k += THREADS)
        keys[k] = ~0ULL;
    __syncthreads();
    for (unsigned size = 2; size <= count; size *= 2)
        for (unsigned apart = size / 2; apart > 0; apart /= 2) {
            for (unsigned k = threadIdx.x; k < count / 2; k += THREADS) {
                const unsigned low = 2 * k - (k & (apart - 1)), high = low + apart;
                const uint64 a = keys[low], b = keys[high];
                if ((a > b) == ((low & size) == 0)) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
            /* Up to 32 apart, a warp's pairs lie among 64 keys that no other warp touches;
             * so do those of the next step unless it begins a larger size. */
            if (apart > 32 || (apart == 1 && size >= 64))
                __syncthreads();
            else
                __syncwarp();
        }
    __syncthreads();
}

/* The keys of the best `capacity` candidates of an image, where the lists did not have room for
 * all. Collects the candidates; where they are too many, finds the key of the first one too many,
 * eight bits at a time from a histogram of those that agree in the bits before, and collects those
 * below it. */
template <typename T>
__device__ __forceinline__ void choose_candidates(const Head<T> *heads, int head_count,
    int classes, int total, float threshold, Scratch &scratch, unsigned &likely_count,
    uint64 &known, uint64 *keys, unsigned capacity, unsigned &found)
{
    constexpr int COLLECTING = 64;
    unsigned *histogram = reinterpret_cast<unsigned *>(keys);
    uint64 beyond = ~0ULL;
    unsigned rank = capacity;
    for (int shift = COLLECTING;;) {
        __syncthreads();
        if (threadIdx.x == 0)
            found = 0;
        if (shift != COLLECTING)
            for (unsigned k = threadIdx.x; k < 256; k += THREADS)
                histogram[k] = 0;
        __syncthreads();
        const uint64 prefix = shift == 56 ? 0 : known;
        for (int h = 0; h < head_count; h++)
            visit_head(heads[h], classes, total, threshold, scratch.likely, likely_count,
                [&](uint64 key) {
                    if (shift == COLLECTING) {
                        if (key >= beyond)
                            return;
                        const unsigned place = atomicAdd(&found, 1u);
                        if (place < capacity)
                            keys[place] = key;
                    } else if (shift == 56 || (key ^ prefix) >> (shift + 8) == 0) {
                        atomicAdd(&histogram[key >> shift & 255], 1u);
                    }
                });
        if (shift == COLLECTING) {
            if (found <= capacity)
                return;
            shift = 56;
            continue;
        }
        if (threadIdx.x == 0) {
            unsigned bits = 0;
            for (; histogram[bits] <= rank; bits++)
                rank -= histogram[bits];
            known = prefix | static_cast<uint64>(bits) << shift;
        }
        __syncthreads();
        beyond = known;
        shift = shift == 0 ? COLLECTING : shift - 8;
    }
}

/* A block for every image. Of more than `capacity` candidates those with the least keys take
 * part. The boxes that stay are written to `kept`, at most `limit`, the highest score first;
 * zeros fill what is left. */
template <typename T>
__global__ void __launch_bounds__(THREADS) keep_boxes(const T *__restrict__ v0,
    const T *__restrict__ v1, const T *__restrict__ v2, const T *__restrict__ v3,
    const T *__restrict__ v4, const T *__restrict__ v5, const T *__restrict__ v6,
    const T *__restrict__ v7, const float *__restrict__ sizes, const uint64 *__restrict__ lists,
    const unsigned *__restrict__ list_counts, float *__restrict__ kept,
    int64 *__restrict__ counts, AllNumbers numbers, AllScaling scaling, AllStrides strides,
    ImageStrides image_strides, int head_count, int classes, int total, float threshold,
    int list_count, unsigned capacity, unsigned limit, float tolerated, float power)
{
    extern __shared__ uint64 keys[]; /* [capacity] */
    __shared__ Scratch scratch;
    __shared__ Head<T> heads[MOST_HEADS];
    __shared__ unsigned found, likely_count;
    __shared__ uint64 known;
    const int image = blockIdx.x;
    kept += static_cast<long long>(image) * limit * ROW;
    const T *const values[MOST_HEADS] = {v0, v1, v2, v3, v4, v5, v6, v7};
    share_heads(
        heads, values, sizes, numbers, scaling, strides, image_strides, head_count, image);
    const unsigned first_list = image * list_count;
    if (!gather(lists + first_list * static_cast<long long>(LIST_ROOM), list_counts + first_list,
            list_count, scratch.filled, likely_count, keys, capacity, found))
        choose_candidates(heads, head_count, classes, total, threshold, scratch, likely_count,
            known, keys, capacity, found);
    if (found <= CHUNK)
        sort_few(keys, found, scratch.chunk.covered_by[0]);
    else
        sort_many(keys, found);

    Chunk &chunk = scratch.chunk;
    const unsigned candidate = threadIdx.x % CHUNK, part = threadIdx.x / CHUNK;
    const unsigned word = candidate / 32, bit = candidate % 32;
    unsigned count = 0;
    for (unsigned start = 0; start < found && count < limit; start += CHUNK) {
        const bool exists = start + candidate < found;
        const uint64 key = exists ? keys[start + candidate] : 0;
        const int label = static_cast<unsigned>(key) / total;
        Box box{};
        if (part == 0 && exists) {
            const int index = static_cast<unsigned>(key) % total;
            int h = head_count - 1;
            while (index < heads[h].numbers.first_box)
                h--;
            const int own = index - heads[h].numbers.first_box;
            box = heads[h].box(own, heads[h].at(own));
            chunk.bounds[candidate] = bounds_of(box);
            chunk.labels[candidate] = label;
        }
        const unsigned existing = __ballot_sync(0xffffffffu, exists);
        if (part == 0 && bit == 0) {
            chunk.open[word] = existing;
            chunk.kept[word] = 0;
        }
        if (threadIdx.x < BUCKETS * WORDS)
            chunk.of_class[threadIdx.x / WORDS][threadIdx.x % WORDS] = 0;
        __syncthreads();
        const Bounds mine = chunk.bounds[candidate];
        bool is_open = exists;
        for (unsigned k = part; is_open && k < count; k += PARTS) {
            const float *row = kept + k * ROW;
            is_open = static_cast<int>(row[5]) != label
                || !covers(bounds_of(Box{row[0], row[1], row[2], row[3]}), mine, tolerated, power);
        }
        if (exists && !is_open)
            atomicAnd(&chunk.open[word], ~(1u << bit));
        const unsigned *alike = chunk.of_class[label % BUCKETS];
        if (part == 0 && exists)
            atomicOr(&chunk.of_class[label % BUCKETS][word], 1u << bit);
        __syncthreads();
#pragma unroll
        for (unsigned w = part; w < WORDS; w += PARTS) {
            unsigned covering = 0;
            const unsigned before = w < word ? ~0u : w == word ? (1u << bit) - 1u : 0u;
            if (chunk.open[word] >> bit & 1u)
                for (unsigned others = chunk.open[w] & alike[w] & before; others;
                     others &= others - 1) {
                    const unsigned other = __ffs(others) - 1;
                    if (chunk.labels[w * 32 + other] == label
                        && covers(chunk.bounds[w * 32 + other], mine, tolerated, power))
                        covering |= 1u << other;
                }
            chunk.covered_by[w][candidate] = covering;
        }
        __syncthreads();
        const unsigned staying = choose(chunk);
        if (part == 0 && chunk.kept[word] >> bit & 1u) {
            unsigned place = count + __popc(chunk.kept[word] & ((1u << bit) - 1u));
            for (unsigned w = 0; w < word; w++)
                place += __popc(chunk.kept[w]);
            if (place < limit) {
                float *row = kept + place * ROW;
                row[0] = box.x;
                row[1] = box.y;
                row[2] = box.width;
                row[3] = box.height;
                row[4] = risen(~static_cast<unsigned>(key >> 32));
                row[5] = static_cast<float>(label);
            }
        }
        count = count + staying < limit ? count + staying : limit;
        __syncthreads();
    }
    for (unsigned k = count * ROW + threadIdx.x; k < limit * ROW; k += THREADS)
        kept[k] = 0.0f;
    if (threadIdx.x == 0)
        counts[image] = count;
}
