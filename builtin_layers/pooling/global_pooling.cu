/* Pooling of whole images: one window, which sees everything. */
#include "storage.cuh"
#include "dependency.cuh"
#include "expression.cuh"
#include "epilogue.cuh"

using namespace plugrt;

template <bool AVERAGE> __device__ __forceinline__ float start_value()
{
    return AVERAGE ? 0.0f : -infinity<float>();
}

template <bool AVERAGE> __device__ __forceinline__ float combined(float total, float value)
{
    return AVERAGE ? total + value : operators::max_(total, value);
}

/* Whole channels-last images: a block computes 16 packs of neighbouring channels, its threads
 * taking every 16th point each. */
template <typename T, int PACK, bool AVERAGE>
__global__ void __launch_bounds__(256) global_pooling(const T *input, T *output, int points,
    int packs, float zero, float scale, long long from_image, long long from_point,
    long long to_image EPILOGUE_PARAMETERS)
{
    constexpr int LANES = 16, ROWS = 256 / LANES, WARPS = 8;
    __shared__ float parts[WARPS][LANES][PACK];
    await_predecessors();
    const int lane = threadIdx.x % LANES, row = threadIdx.x / LANES;
    const int groups = (packs + LANES - 1) / LANES;
    const int n = blockIdx.x / groups;
    const int pack = blockIdx.x % groups * LANES + lane;
    float total[PACK];
#pragma unroll
    for (int k = 0; k < PACK; k++)
        total[k] = start_value<AVERAGE>();
    if (pack < packs) {
        const T *first = input + n * from_image + pack * PACK;
#pragma unroll 4
        for (int point = row; point < points; point += ROWS) {
            float value[PACK];
            load<float, T, PACK>(first + point * from_point, value);
#pragma unroll
            for (int k = 0; k < PACK; k++)
                total[k] = combined<AVERAGE>(total[k], value[k]);
        }
    }
#pragma unroll
    for (int apart = 16; apart >= LANES; apart /= 2)
#pragma unroll
        for (int k = 0; k < PACK; k++)
            total[k] = combined<AVERAGE>(
                total[k], __shfl_xor_sync(0xffffffffu, total[k], apart));
    if (threadIdx.x % 32 < LANES)
#pragma unroll
        for (int k = 0; k < PACK; k++)
            parts[threadIdx.x / 32][lane][k] = total[k];
    __syncthreads();
    if (threadIdx.x >= LANES || pack >= packs)
        return;
#pragma unroll
    for (int k = 0; k < PACK; k++) {
#pragma unroll
        for (int warp = 1; warp < WARPS; warp++)
            total[k] = combined<AVERAGE>(total[k], parts[warp][lane][k]);
        total[k] = AVERAGE ? (total[k] / static_cast<float>(points) - zero) * scale
                           : (total[k] - zero) * scale;
    }
    const Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(total, PACK, n, pack * PACK, 0, 0, 0);
    store<T, float, PACK>(output + n * to_image + pack * PACK, total);
}

/* Whole linear images: a warp for every channel. */
template <typename T, bool AVERAGE>
__global__ void __launch_bounds__(256) global_pooling_rows(const T *input,
    T *output, int points, int channels, unsigned rows, float zero, float scale,
    long long from_image, long long from_channel, long long to_image,
    long long to_channel EPILOGUE_PARAMETERS)
{
    await_predecessors();
    const unsigned row = blockIdx.x * 8u + threadIdx.x / 32u;
    const int lane = threadIdx.x % 32;
    if (row >= rows)
        return;
    const int n = row / channels, c = row % channels;
    const T *first = input + n * from_image + c * from_channel;
    float total[1] = {start_value<AVERAGE>()};
#pragma unroll 4
    for (int point = lane; point < points; point += 32)
        total[0] = combined<AVERAGE>(total[0], widen<float>(first[point]));
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2)
        total[0] = combined<AVERAGE>(total[0], __shfl_xor_sync(0xffffffffu, total[0], apart));
    if (lane)
        return;
    total[0] = AVERAGE ? (total[0] / static_cast<float>(points) - zero) * scale
                       : (total[0] - zero) * scale;
    const Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(total, 1, n, c, 0, 0, 0);
    output[n * to_image + c * to_channel] = narrow<T>(total[0]);
}
