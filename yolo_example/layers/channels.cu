/* The channels of every pixel divided by a sum over them. */

enum { POSITIVE, SOFTMAX, SHIFTED_SOFTMAX, EUCLIDEAN }; /* KINDS in channel_normalization.py */

template <int KIND> static __device__ __forceinline__ float part(float value, float shift)
{
    if (KIND == EUCLIDEAN)
        return value;
    if (KIND == POSITIVE)
        return value < 0.0f ? 0.0f : value; /* NaN passes */
    return expf(value - shift);
}

/* A thread for each of `count` pixels, whose channels lie `area` apart. The output may be the
 * input. */
template <int KIND>
__global__ void __launch_bounds__(256) normalize_channels(
    const float *input, float *output, unsigned count, int channels, unsigned area)
{
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= count)
        return;
    const long long first =
        static_cast<long long>(index / area) * channels * area + index % area;
    const float *from = input + first;
    float *to = output + first;
    float shift = 0.0f;
    if (KIND == SHIFTED_SOFTMAX) {
        shift = *from;
        for (int c = 1; c < channels; c++)
            shift = from[c * static_cast<long long>(area)] > shift
                ? from[c * static_cast<long long>(area)] : shift;
    }
    float sum = KIND == EUCLIDEAN ? 0.0f : 1e-4f;
    for (int c = 0; c < channels; c++) {
        const float value = part<KIND>(from[c * static_cast<long long>(area)], shift);
        sum += KIND == EUCLIDEAN ? value * value : value;
    }
    if (KIND == EUCLIDEAN)
        sum = sum == 0.0f ? 1.0f : sqrtf(sum);
    for (int c = 0; c < channels; c++)
        to[c * static_cast<long long>(area)] =
            part<KIND>(from[c * static_cast<long long>(area)], shift) / sum;
}
