/* Multiplication of stored values by a number, from one scale to another. */
#include "storage.cuh"

using namespace plugrt;

template <typename T>
__global__ void __launch_bounds__(256) scale_stored(const T *input, T *output, long long count,
    float factor, int input_zero, int output_zero)
{
    const long long i = blockIdx.x * 256ll + threadIdx.x;
    if (i < count)
        output[i] = narrow<T>(rintf((input[i] - input_zero) * factor) + output_zero);
}

template <>
__global__ void __launch_bounds__(256) scale_stored<float>(const float *input, float *output,
    long long count, float factor, int input_zero, int output_zero)
{
    const long long i = blockIdx.x * 256ll + threadIdx.x;
    if (i < count)
        output[i] = input[i] * factor;
}
