/* Softmax and its logarithm along one axis, in float32. */
#include "storage.cuh"

using namespace plugrt;

struct Sum {
    float largest, total;
    /* One more value: exponentials are kept relative to the largest. */
    __device__ __forceinline__ void add(float value)
    {
        if (value > largest) {
            total = total * expf(largest - value) + 1.0f;
            largest = value;
        } else if (value == value) {
            total += value == largest ? 1.0f : expf(value - largest);
        } else {
            total = value;
        }
    }
    __device__ __forceinline__ void join(float other_largest, float other_total)
    {
        const float most = fmaxf(largest, other_largest);
        const float mine = largest == most ? total : total * expf(largest - most);
        const float theirs =
            other_largest == most ? other_total : other_total * expf(other_largest - most);
        largest = most;
        total = mine + theirs;
    }
    template <bool LOGARITHM> __device__ __forceinline__ float of(float value) const
    {
        return LOGARITHM ? value - largest - logf(total) : expf(value - largest) / total;
    }
};

/* The result for THREADS neighbouring threads, a power of two up to 256, of a value from each. */
template <int THREADS, bool MAXIMUM> __device__ __forceinline__ float together(float value)
{
    constexpr int WITHIN = THREADS < 32 ? THREADS : 32;
#pragma unroll
    for (int apart = WITHIN / 2; apart > 0; apart /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, value, apart);
        value = MAXIMUM ? fmaxf(value, other) : value + other;
    }
    if (THREADS > 32) {
        __shared__ float parts[8];
        __syncthreads();
        if (threadIdx.x % 32 == 0)
            parts[threadIdx.x / 32] = value;
        __syncthreads();
        value = parts[0];
#pragma unroll
        for (int k = 1; k < 8; k++)
            value = MAXIMUM ? fmaxf(value, parts[k]) : value + parts[k];
    }
    return value;
}

/* Values of a row lie side by side; THREADS of the block's 256 threads hold a row, VALUES each. */
template <typename T, int THREADS, int VALUES, bool LOGARITHM>
__global__ void __launch_bounds__(256) softmax_rows(
    const T *input, T *output, unsigned rows, int size)
{
    const int lane = threadIdx.x % THREADS;
    const unsigned row = blockIdx.x * (256u / THREADS) + threadIdx.x / THREADS;
    const long long begin = static_cast<long long>(row) * size;
    const int count = row < rows ? size : 0;
    float values[VALUES], largest = -infinity<float>(), total = 0.0f;
#pragma unroll
    for (int k = 0; k < VALUES; k++)
        values[k] = lane + k * THREADS < count
            ? widen<float>(input[begin + lane + k * THREADS]) : -infinity<float>();
#pragma unroll
    for (int k = 0; k < VALUES; k++)
        largest = fmaxf(largest, values[k]);
    largest = together<THREADS, true>(largest);
#pragma unroll
    for (int k = 0; k < VALUES; k++) {
        values[k] -= largest;
        const float power = expf(values[k]);
        total += lane + k * THREADS < count ? power : 0.0f;
        values[k] = LOGARITHM ? values[k] : power;
    }
    total = together<THREADS, false>(total);
    const float factor = LOGARITHM ? logf(total) : 1.0f / total;
#pragma unroll
    for (int k = 0; k < VALUES; k++)
        if (lane + k * THREADS < count)
            output[begin + lane + k * THREADS] =
                narrow<T>(LOGARITHM ? values[k] - factor : values[k] * factor);
}

/* Longer rows: a block for each, which reads them twice. */
template <typename T, bool LOGARITHM>
__global__ void __launch_bounds__(256) softmax_long_rows(const T *input, T *output, int size)
{
    __shared__ float largest[8], totals[8];
    const long long begin = static_cast<long long>(blockIdx.x) * size;
    Sum sum = {-infinity<float>(), 0.0f};
    for (int k = threadIdx.x; k < size; k += 256)
        sum.add(widen<float>(input[begin + k]));
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, sum.largest, apart);
        sum.join(other, __shfl_xor_sync(0xffffffffu, sum.total, apart));
    }
    if (threadIdx.x % 32 == 0) {
        largest[threadIdx.x / 32] = sum.largest;
        totals[threadIdx.x / 32] = sum.total;
    }
    __syncthreads();
    sum = {-infinity<float>(), 0.0f};
#pragma unroll
    for (int k = 0; k < 8; k++)
        sum.join(largest[k], totals[k]);
    for (int k = threadIdx.x; k < size; k += 256)
        output[begin + k] =
            narrow<T>(sum.template of<LOGARITHM>(widen<float>(input[begin + k])));
}

/* Values of a row lie `inner` apart: a thread for every row, neighbours side by side. */
template <typename T, bool LOGARITHM>
__global__ void __launch_bounds__(256) softmax_columns(
    const T *input, T *output, unsigned rows, int size, unsigned inner)
{
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= rows)
        return;
    const long long begin =
        static_cast<long long>(index / inner) * size * inner + index % inner;
    Sum sum = {-infinity<float>(), 0.0f};
#pragma unroll 4
    for (int k = 0; k < size; k++)
        sum.add(widen<float>(input[begin + static_cast<long long>(k) * inner]));
#pragma unroll 4
    for (int k = 0; k < size; k++) {
        const long long at = begin + static_cast<long long>(k) * inner;
        output[at] = narrow<T>(sum.template of<LOGARITHM>(widen<float>(input[at])));
    }
}
