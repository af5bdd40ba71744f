/* Reductions over any dimensions: sums, means, maxima, and where the first maximum lies. */
#include "storage.cuh"

using namespace plugrt;

template <int LOOPS> struct Loops {
    long long of[LOOPS];
};

template <typename A> struct Number {
    static __device__ __forceinline__ A least() { return -infinity<A>(); }
};
template <> struct Number<long long> {
    static __device__ __forceinline__ long long least() { return -9223372036854775807LL - 1; }
};

/* What is known of the elements seen so far; `index` counts them in order. */
template <typename T, typename A> struct Sum {
    using Result = T;
    A total;
    __device__ __forceinline__ Sum() : total(A(0)) {}
    __device__ __forceinline__ void add(T value, long long) { total += widen<A>(value); }
    __device__ __forceinline__ void join(const Sum &other) { total += other.total; }
    __device__ __forceinline__ T result(long long) const { return narrow<T>(total); }
};

template <typename T, typename A> struct Mean : Sum<T, A> {
    using Result = T;
    __device__ __forceinline__ T result(long long count) const
    {
        return narrow<T>(this->total / static_cast<A>(count));
    }
};
template <typename T> struct Mean<T, long long> : Sum<T, long long> {
    using Result = T;
    __device__ __forceinline__ T result(long long count) const
    {
        return narrow<T>(static_cast<double>(this->total) / static_cast<double>(count));
    }
};

/* NaN is larger than all numbers. */
template <typename T, typename A> struct Maximum {
    using Result = T;
    A most;
    __device__ __forceinline__ Maximum() : most(Number<A>::least()) {}
    __device__ __forceinline__ void take(A value)
    {
        most = value > most || value != value ? value : most;
    }
    __device__ __forceinline__ void add(T value, long long) { take(widen<A>(value)); }
    __device__ __forceinline__ void join(const Maximum &other) { take(other.most); }
    __device__ __forceinline__ T result(long long) const { return narrow<T>(most); }
};

template <typename T, typename A> struct ArgMax {
    using Result = int64;
    A most;
    long long where;
    __device__ __forceinline__ ArgMax() : most(Number<A>::least()), where(-1) {}
    __device__ __forceinline__ void take(A value, long long index)
    {
        const bool both_nan = value != value && most != most;
        const bool equal = value == most || both_nan;
        const bool larger = value > most || (value != value && most == most);
        if (where < 0 || larger || (equal && index < where)) {
            most = value;
            where = index;
        }
    }
    __device__ __forceinline__ void add(T value, long long index)
    {
        take(widen<A>(value), index);
    }
    __device__ __forceinline__ void join(const ArgMax &other)
    {
        if (other.where >= 0)
            take(other.most, other.where);
    }
    __device__ __forceinline__ int64 result(long long) const { return where; }
};

/* Where position `rest` of nested loops is; strides in elements. */
template <int LOOPS>
__device__ __forceinline__ long long offset_of(
    unsigned rest, const Loops<LOOPS> &sizes, const Loops<LOOPS> &strides)
{
    long long offset = 0;
#pragma unroll
    for (int loop = LOOPS - 1; loop >= 0; loop--) {
        unsigned index = rest;
        if (loop > 0) {
            const unsigned size = static_cast<unsigned>(sizes.of[loop]);
            index = rest % size;
            rest /= size;
        }
        offset += index * strides.of[loop];
    }
    return offset;
}

/* A block computes LANES neighbouring results; its 256 / LANES rows of threads share the
 * elements of each. One lane is for elements side by side, many for results side by side. */
template <template <typename, typename> class Operation, typename T, typename A, int LANES,
    int KEPT, int REDUCED>
__global__ void __launch_bounds__(256) reduce(const T *__restrict__ input,
    typename Operation<T, A>::Result *__restrict__ output, unsigned results, unsigned elements,
    Loops<KEPT> kept_sizes, Loops<KEPT> kept_strides, Loops<KEPT> output_strides,
    Loops<REDUCED> reduced_sizes, Loops<REDUCED> reduced_strides)
{
    using State = Operation<T, A>;
    constexpr int ROWS = 256 / LANES;
    __shared__ unsigned long long room[256 * sizeof(State) / 8 + 1];
    State *states = reinterpret_cast<State *>(room);
    const int lane = threadIdx.x % LANES, row = threadIdx.x / LANES;
    const unsigned index = blockIdx.x * static_cast<unsigned>(LANES) + lane;
    State state;
    if (index < results) {
        const T *first = input + offset_of<KEPT>(index, kept_sizes, kept_strides);
#pragma unroll 4
        for (unsigned k = row; k < elements; k += ROWS)
            state.add(first[offset_of<REDUCED>(k, reduced_sizes, reduced_strides)], k);
    }
    if (ROWS > 1) {
        states[threadIdx.x] = state;
#pragma unroll
        for (int half = ROWS / 2; half > 0; half /= 2) {
            __syncthreads();
            if (row < half)
                states[threadIdx.x].join(states[threadIdx.x + half * LANES]);
        }
        state = states[threadIdx.x];
    }
    if (row == 0 && index < results)
        output[offset_of<KEPT>(index, kept_sizes, output_strides)] = state.result(elements);
}
