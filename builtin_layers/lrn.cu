/* Local response normalization across channels, in float32. */
#include "storage.cuh"
#include "element_place.cuh"
#include "epilogue.cuh"

using namespace plugrt;

/* A thread for every element, in the order of memory: neighbours share what they read. */
template <typename T>
__global__ void __launch_bounds__(256) lrn(const T *__restrict__ input, T *__restrict__ output,
    unsigned count, int channels_fastest, FiveSizes size, int before, int after, float weight,
    float beta, float bias, FiveStrides from, FiveStrides to EPILOGUE_PARAMETERS)
{
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= count)
        return;
    const Place place = place_of(index, size, channels_fastest);
    const int channels = size.of[1], c = place.c;
    const T *point = input + place.in(from) - c * from.of[1];
    const int first = c - before > 0 ? c - before : 0;
    const int last = c + after < channels ? c + after : channels - 1;
    float squares = 0.0f;
    for (int k = first; k <= last; k++) {
        const float value = widen<float>(point[k * from.of[1]]);
        squares += value * value;
    }
    const float scale = bias + weight * squares;
    /* The usual exponent by square roots. */
    const float power = beta == 0.75f ? sqrtf(scale) * sqrtf(sqrtf(scale)) : powf(scale, beta);
    float values[1] = {widen<float>(point[c * from.of[1]]) / power};
    const Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(values, 1, place.n, c, place.z, place.y, place.x);
    output[place.in(to)] = narrow<T>(values[0]);
}
