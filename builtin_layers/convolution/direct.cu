/* Convolution in every case: any window, dilation, groups, format and type. A thread computes
 * one output; in channels-last memory neighbours are outputs of one point, else of one row. */
#include "storage.cuh"
#include "element_place.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Three {
    int of[3];
};
struct WeightStrides {
    long long tap, channel, output;
};

/* Weights lie `of_weights` apart: taps, channels of a group, outputs. Sums are in A: float, or int
 * for 8-bit integers; where `scaled`, one unit of them stands for factors[output]. */
template <typename T, typename W, typename A, typename R>
__global__ void __launch_bounds__(256) convolution_direct(const T *__restrict__ input,
    const W *__restrict__ weights, const float *__restrict__ factors, R *__restrict__ output,
    unsigned count, int channels_fastest, int scaled, int zero, int group_channels,
    int group_outputs, Three input_size, FiveSizes size, Three kernel, Three stride, Three dilation,
    Three before, WeightStrides of_weights, FiveStrides from, FiveStrides to EPILOGUE_PARAMETERS)
{
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= count)
        return;
    const Place place = place_of(index, size, channels_fastest);
    const int m = place.c;
    const T *group = input + place.n * from.of[0]
        + static_cast<long long>(m / group_outputs) * group_channels * from.of[1];
    A total = A(0);
    for (int i = 0; i < kernel.of[0]; i++) {
        const int at_z = place.z * stride.of[0] - before.of[0] + i * dilation.of[0];
        if (at_z < 0 || at_z >= input_size.of[0])
            continue;
        for (int j = 0; j < kernel.of[1]; j++) {
            const int at_y = place.y * stride.of[1] - before.of[1] + j * dilation.of[1];
            if (at_y < 0 || at_y >= input_size.of[1])
                continue;
            for (int k = 0; k < kernel.of[2]; k++) {
                const int at_x = place.x * stride.of[2] - before.of[2] + k * dilation.of[2];
                if (at_x < 0 || at_x >= input_size.of[2])
                    continue;
                const T *point =
                    group + at_z * from.of[2] + at_y * from.of[3] + at_x * from.of[4];
                const long long tap = (i * kernel.of[1] + j) * kernel.of[2] + k;
                const W *column = weights + tap * of_weights.tap + m * of_weights.output;
#pragma unroll 4
                for (int c = 0; c < group_channels; c++)
                    total += (widen<A>(point[c * from.of[1]]) - A(zero))
                        * widen<A>(column[c * of_weights.channel]);
            }
        }
    }
    float values[1] = {static_cast<float>(total) * (scaled ? factors[m] : 1.0f)};
    const Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(values, 1, place.n, m, place.z, place.y, place.x);
    output[place.in(to)] = narrow<R>(values[0]);
}
