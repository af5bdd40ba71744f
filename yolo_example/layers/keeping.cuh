/* Boxes out of the candidates of an image: sorted, without those found twice, written by a block of
 * threads. */
#pragma once
#include "best_candidates.cuh"

constexpr int ROW = 6; /* x, y, width, height, score, class */

/* The box of a candidate, decoded once more. */
template <typename T>
__device__ __noinline__ Box box_of(const Head<T> *heads, int head_count, unsigned number)
{
    int h = head_count - 1;
#pragma unroll 1
    while (static_cast<int>(number) < heads[h].numbers.first_box)
        h--;
    const int own = number - heads[h].numbers.first_box;
    const Place place = heads[h].place(own);
    const T *planes = heads[h].at(place);
    return Box{heads[h].coordinate(0, place, planes), heads[h].coordinate(1, place, planes),
        heads[h].coordinate(2, place, planes), heads[h].coordinate(3, place, planes)};
}

/* Whether one of `count` rows that are a block's earlier results, from `first` in steps of PARTS,
 * covers a candidate. */
__device__ __noinline__ bool is_covered(const float *rows, unsigned first, unsigned count,
    const Bounds &mine, const Kind &kind, float tolerated, float power)
{
    for (unsigned k = first; k < count; k += PARTS) {
        const float *row = rows + k * ROW;
        const Box other{row[0], row[1], row[2], row[3]};
        if (static_cast<int>(row[5]) == kind.label
            && covers(bounds_of(other), mine, area_of(other), kind.area, tolerated, power))
            return true;
    }
    return false;
}

/* Decides which candidates of a chunk stay, of which `chunk.open` tells, and puts their rows one
 * behind the other in `chunk.covered_by`; their number, at most `room`. */
template <typename T>
__device__ __forceinline__ unsigned keep_of_chunk(
    Shared<T> &shared, const uint64 *keys, unsigned room, float tolerated, float power)
{
    Chunk &chunk = shared.scratch.chunk;
    const unsigned candidate = threadIdx.x % CHUNK, part = threadIdx.x / CHUNK;
    const unsigned word = candidate / 32, below = (1u << candidate % 32) - 1u;
    const bool is_open = (chunk.open[word] & (below + 1u)) != 0;
    const Bounds mine = chunk.bounds[candidate];
    const Kind kind = chunk.kinds[candidate];
#pragma unroll 1
    for (unsigned w = part; w <= word; w += PARTS) {
        unsigned others = 0, covering = 0;
        if (is_open)
            others = chunk.open[w] & chunk.of_class[kind.label % BUCKETS][w]
                & (w < word ? ~0u : below);
#pragma unroll 1
        for (; others; others &= others - 1) {
            const unsigned bit = __ffs(others) - 1, other = w * 32 + bit;
            const Kind of_other = chunk.kinds[other];
            if (of_other.label == kind.label
                && covers(chunk.bounds[other], mine, of_other.area, kind.area, tolerated, power))
                covering |= 1u << bit;
        }
        chunk.covered_by[w][candidate] = covering;
    }
    __syncthreads();
    const unsigned staying = choose(chunk);
    float *staged = reinterpret_cast<float *>(chunk.covered_by);
    if (part == 0 && (chunk.kept[word] & (below + 1u))) {
        unsigned place = __popc(chunk.kept[word] & below);
#pragma unroll
        for (unsigned w = 0; w < WORDS; w++)
            place += w < word ? __popc(chunk.kept[w]) : 0;
        const Box &box = shared.boxes[candidate];
        float *row = staged + place * ROW;
        row[0] = box.x;
        row[1] = box.y;
        row[2] = box.width;
        row[3] = box.height;
        row[4] = risen(~static_cast<unsigned>(keys[candidate] >> 32));
        row[5] = static_cast<float>(kind.label);
    }
    __syncthreads();
    return min(staying, room);
}

/* Writes `count` rows that `keep_of_chunk` has staged, and zeros behind them up to `room`. */
__device__ __forceinline__ void write_rows(
    const Chunk &chunk, float *rows, unsigned count, unsigned room)
{
    constexpr int PAIRS = ROW / 2;
    const float2 *staged = reinterpret_cast<const float2 *>(chunk.covered_by);
#pragma unroll 1
    for (unsigned k = threadIdx.x; k < room * PAIRS; k += THREADS)
        reinterpret_cast<float2 *>(rows)[k] = k < count * PAIRS ? staged[k] : float2{0.0f, 0.0f};
}

/* Sorts up to CHUNK candidates, whose boxes are there, in a chunk that is cleared, and writes those
 * that stay to `kept` [limit, ROW], the highest score first; zeros fill what is left. */
template <typename T>
__device__ __forceinline__ void keep_few(
    Shared<T> &shared, uint64 *keys, const Rules &rules, float *kept, int64 *count_kept)
{
    Chunk &chunk = shared.scratch.chunk;
    const unsigned mine = threadIdx.x % CHUNK, part = threadIdx.x / CHUNK, found = shared.found;
    unsigned *ranks = chunk.covered_by[0];
    uint64 key = 0;
    Box box{};
    if (mine < found) {
        key = keys[mine];
        box = shared.boxes[mine];
        const unsigned share = (found + PARTS - 1) / PARTS, end = min((part + 1) * share, found);
        unsigned less = 0;
#pragma unroll 4
        for (unsigned k = part * share; k < end; k++)
            less += keys[k] < key;
        atomicAdd(&ranks[mine], less);
    }
    __syncthreads();
    if (part == 0 && mine < found) {
        const unsigned rank = ranks[mine];
        keys[rank] = key;
        shared.boxes[rank] = box;
        put(chunk, rank, box, static_cast<unsigned>(key) / rules.total);
    }
    if (threadIdx.x < WORDS) {
        const unsigned first = threadIdx.x * 32;
        chunk.open[threadIdx.x] =
            found >= first + 32 ? ~0u : found > first ? (1u << (found - first)) - 1u : 0u;
        chunk.kept[threadIdx.x] = 0;
    }
    __syncthreads();
    const unsigned staying =
        keep_of_chunk(shared, keys, rules.limit, rules.tolerated, rules.power);
    write_rows(chunk, kept, staying, rules.limit);
    if (threadIdx.x == 0)
        *count_kept = staying;
}

/* The same for any number of candidates, whose keys are there if they fit; else those with the
 * least `rules.capacity` keys take part. `kept` and `count_kept` may be memory of the host, so they
 * are only written; what is read again lies in `rows`, of the shape of `kept`, too. */
template <typename T>
__device__ __noinline__ void keep_many(Shared<T> &shared, uint64 *keys, bool fits,
    const Rules &rules, float *rows, float *kept, int64 *count_kept)
{
    if (!fits)
        choose_candidates(shared, keys, rules);
    const unsigned found = shared.found, limit = rules.limit;
    sort_many(keys, found);
    Chunk &chunk = shared.scratch.chunk;
    const unsigned candidate = threadIdx.x % CHUNK, part = threadIdx.x / CHUNK;
    const unsigned word = candidate / 32, bit = candidate % 32;
    unsigned count = 0;
    for (unsigned start = 0; start < found && count < limit; start += CHUNK) {
        const bool exists = start + candidate < found;
        clear(chunk);
        __syncthreads();
        if (part == 0) {
            const unsigned existing = __ballot_sync(0xffffffffu, exists);
            if (bit == 0) {
                chunk.open[word] = existing;
                chunk.kept[word] = 0;
            }
            if (exists) {
                const unsigned number = static_cast<unsigned>(keys[start + candidate]);
                const Box box = box_of(shared.heads, rules.head_count, number % rules.total);
                shared.boxes[candidate] = box;
                put(chunk, candidate, box, number / rules.total);
            }
        }
        __syncthreads();
        if (count > 0 && exists
            && is_covered(rows, part, count, chunk.bounds[candidate], chunk.kinds[candidate],
                rules.tolerated, rules.power))
            atomicAnd(&chunk.open[word], ~(1u << bit));
        __syncthreads();
        const unsigned staying =
            keep_of_chunk(shared, keys + start, limit - count, rules.tolerated, rules.power);
        write_rows(chunk, kept + count * ROW, staying, staying);
        if (start + CHUNK < found)
            write_rows(chunk, rows + count * ROW, staying, staying);
        count += staying;
        __syncthreads();
    }
    write_rows(chunk, kept + count * ROW, 0, limit - count);
    if (threadIdx.x == 0)
        *count_kept = count;
}
