/* Local response normalization across channels, in float32. */
#include "storage.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Sizes {
    int of[5];
};
struct Strides {
    long long of[5];
};

/* A thread for every element, in the order of memory: neighbours share what they read. */
template <typename T>
__global__ void __launch_bounds__(256) lrn(const T *__restrict__ input, T *__restrict__ output,
    unsigned count, int channels_fastest, Sizes size, int before, int after, float weight,
    float beta, float bias, Strides from, Strides to EPILOGUE_PARAMETERS)
{
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    if (rest >= count)
        return;
    const int channels = size.of[1];
    int c = 0;
    if (channels_fastest) {
        c = rest % channels;
        rest /= channels;
    }
    const int x = rest % size.of[4];
    rest /= size.of[4];
    const int y = rest % size.of[3];
    rest /= size.of[3];
    const int z = rest % size.of[2];
    rest /= size.of[2];
    if (!channels_fastest) {
        c = rest % channels;
        rest /= channels;
    }
    const int n = rest;
    const T *point = input + n * from.of[0] + z * from.of[2] + y * from.of[3] + x * from.of[4];
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
    epilogue.apply(values, 1, n, c, z, y, x);
    output[n * to.of[0] + c * to.of[1] + z * to.of[2] + y * to.of[3] + x * to.of[4]] =
        narrow<T>(values[0]);
}
