/* Activation of the planes of detection layers: values of any strides in, any out. */
#include "storage.cuh"

using namespace plugrt;

struct Eight {
    int of[8];
};
struct Strides {
    long long of[4]; /* images, planes, rows, columns */
};

enum { LOGISTIC = 1, SCALE = 2 }; /* enum yolo_plane_rule in kernels.h */

/* The planes of an anchor lie in `runs` runs, run k ending before plane ends[k]; those behind
 * the last one are left alone. A thread for every value of the others. */
template <typename T, typename R>
__global__ void __launch_bounds__(256) activate_planes(const T *input, R *output, unsigned count,
    int anchors, int planes, int height, int width, Eight ends, Eight rules, int runs,
    float scale, float shift, Strides from, Strides to)
{
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    if (rest >= count)
        return;
    const int used = ends.of[runs - 1];
    const int x = rest % width;
    rest /= width;
    const int y = rest % height;
    rest /= height;
    const int plane = rest % used;
    rest /= used;
    const int channel = rest % anchors * planes + plane, n = rest / anchors;
    int rule = 0;
#pragma unroll
    for (int k = 7; k >= 0; k--)
        if (k < runs && plane < ends.of[k])
            rule = rules.of[k];
    float value = widen<float>(
        input[n * from.of[0] + channel * from.of[1] + y * from.of[2] + x * from.of[3]]);
    if (rule & LOGISTIC)
        value = 1.0f / (1.0f + expf(-value));
    if (rule & SCALE)
        value = value * scale + shift;
    output[n * to.of[0] + channel * to.of[1] + y * to.of[2] + x * to.of[3]] = narrow<R>(value);
}

/* Softmax over groups of planes, cell by cell. Group k ends before plane `first` + ends[k] and
 * begins where the one before it ends. A thread for every cell and group of an anchor. */
template <typename T, typename R>
__global__ void __launch_bounds__(256) softmax_planes(const T *input, R *output,
    const int *__restrict__ ends, unsigned count, int anchors, int planes, int height, int width,
    int first, int groups, float factor, Strides from, Strides to)
{
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    if (rest >= count)
        return;
    const int x = rest % width;
    rest /= width;
    const int y = rest % height;
    rest /= height;
    const int group = rest % groups;
    rest /= groups;
    const int anchor = rest % anchors, n = rest / anchors;
    const int begin = first + (group ? ends[group - 1] : 0), end = first + ends[group];
    const T *values = input + n * from.of[0] + y * from.of[2] + x * from.of[3]
        + anchor * planes * from.of[1];
    R *results =
        output + n * to.of[0] + y * to.of[2] + x * to.of[3] + anchor * planes * to.of[1];
    float largest = -infinity<float>();
    for (int plane = begin; plane < end; plane++)
        largest = fmaxf(largest, widen<float>(values[plane * from.of[1]]));
    float sum = 0.0f;
    for (int plane = begin; plane < end; plane++)
        sum += expf((widen<float>(values[plane * from.of[1]]) - largest) * factor);
    for (int plane = begin; plane < end; plane++)
        results[plane * to.of[1]] = narrow<R>(
            expf((widen<float>(values[plane * from.of[1]]) - largest) * factor) / sum);
}
