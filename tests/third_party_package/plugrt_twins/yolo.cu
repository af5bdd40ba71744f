/* The yolo layer's activation: values of any float type and strides in, float32 out. */
#include "storage.cuh"

using namespace plugrt;

struct Strides {
    long long image, channel, row, column;
};

template <typename T>
__global__ void __launch_bounds__(256) activate(const T *input, float *output, unsigned count,
    int channels, int planes, int height, int width, float scale, float shift, int logistic,
    Strides from, Strides to)
{
    const unsigned thread = blockIdx.x * 256u + threadIdx.x;
    if (thread >= count)
        return;
    const int x = thread % width, y = thread / width % height;
    const int channel = thread / width / height % channels;
    const int image = thread / width / height / channels, plane = channel % planes;
    float value = widen<float>(
        input[image * from.image + channel * from.channel + y * from.row + x * from.column]);
    if (logistic && (plane < 2 || plane >= 4))
        value = 1.0f / (1.0f + expf(-value));
    if (plane < 2)
        value = value * scale + shift;
    output[image * to.image + channel * to.channel + y * to.row + x * to.column] = value;
}
