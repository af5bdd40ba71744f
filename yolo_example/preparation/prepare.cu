/* Pictures of bytes into the planes that networks take: resizing.c on a GPU. */
#include "storage.cuh"

using namespace plugrt;

struct Picture {
    long long height, width, image_stride, row_stride, pixel_stride; /* strides in bytes */
};
struct Place {
    int height, width, top, left; /* of the whole picture once resized, in the output */
};
struct Steps {
    double of_rows, of_columns; /* from one place to the next, in pixels of the picture */
};
struct Strides {
    long long of[4]; /* images, channels, rows, columns */
};

struct Tap {
    int first, second;
    float first_weight, second_weight;
};

__device__ __forceinline__ int limited(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* The corners of both fall on each other, as in Darknet. */
__device__ __forceinline__ Tap corner_tap(
    int place, int size, int extent, double step, bool is_rows)
{
    const int last = extent - 1;
    const bool is_end = place == size - 1 || last == 0;
    if (size == 1 || (is_end && !is_rows))
        return Tap{last, last, 1.0f, 0.0f};
    const float position = __fmul_rn(static_cast<float>(place), static_cast<float>(step));
    const int first = limited(static_cast<int>(position), 0, last);
    const float weight = __fsub_rn(position, static_cast<float>(first));
    return Tap{first, limited(first + 1, 0, last), 1.0f - weight, is_end ? 0.0f : weight};
}

/* Centres half a pixel inside and weights of 11 bits, as in OpenCV. */
__device__ __forceinline__ Tap centre_tap(int place, int extent, double step, bool is_rows)
{
    const float position =
        static_cast<float>(__dsub_rn(__dmul_rn(static_cast<double>(place) + 0.5, step), 0.5));
    const int first = static_cast<int>(floorf(position));
    float weight = position - static_cast<float>(first);
    if (!is_rows && (first < 0 || first >= extent - 1))
        weight = 0.0f;
    return Tap{limited(first, 0, extent - 1), limited(first + 1, 0, extent - 1),
        rintf(__fmul_rn(1.0f - weight, 2048.0f)), rintf(__fmul_rn(weight, 2048.0f))};
}

template <bool CENTRES>
__device__ __forceinline__ Tap tap_of(int place, int size, int extent, double step, bool is_rows)
{
    place = limited(place, 0, size - 1);
    return CENTRES ? centre_tap(place, extent, step, is_rows)
                   : corner_tap(place, size, extent, step, is_rows);
}

/* A thread for every pixel of the output, blocks for columns, rows and images. CENTRES chooses
 * OpenCV's interpolation, EXTEND the picture's nearest pixel around it in place of grey. One
 * channel is luminance. */
template <typename T, bool CENTRES, bool EXTEND>
__global__ void __launch_bounds__(256) prepare(const uint8 *__restrict__ pixels,
    T *__restrict__ output, int channels, int height, int width, Picture picture, Place place,
    Steps steps, Strides to)
{
    const float white = 1.0f / 255.0f;
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
    if (x >= width || y >= height)
        return;
    pixels += blockIdx.z * picture.image_stride;
    T *target = output + blockIdx.z * to.of[0] + y * to.of[2] + x * to.of[3];
    const bool inside = y >= place.top && y < place.top + place.height && x >= place.left
        && x < place.left + place.width;
    float colors[3] = {0.5f, 0.5f, 0.5f};
    if (inside || EXTEND) {
        const Tap row = tap_of<CENTRES>(y - place.top, place.height,
            static_cast<int>(picture.height), steps.of_rows, true);
        const Tap column = tap_of<CENTRES>(x - place.left, place.width,
            static_cast<int>(picture.width), steps.of_columns, false);
        const uint8 *upper = pixels + row.first * picture.row_stride;
        const uint8 *lower = pixels + row.second * picture.row_stride;
        const long long near = column.first * picture.pixel_stride;
        const long long far = column.second * picture.pixel_stride;
#pragma unroll
        for (int c = 0; c < 3; c++) {
            const float above = column.first_weight * static_cast<float>(upper[near + c])
                + column.second_weight * static_cast<float>(upper[far + c]);
            const float below = column.first_weight * static_cast<float>(lower[near + c])
                + column.second_weight * static_cast<float>(lower[far + c]);
            if (CENTRES) {
                const int sum =
                    ((static_cast<int>(above) >> 4) * static_cast<int>(row.first_weight) >> 16)
                    + ((static_cast<int>(below) >> 4) * static_cast<int>(row.second_weight)
                        >> 16);
                colors[c] = static_cast<float>((sum + 2) >> 2) * white;
            } else {
                colors[c] =
                    row.first_weight * white * above + row.second_weight * white * below;
            }
        }
    }
    if (channels == 1) {
        target[0] = narrow<T>(inside || EXTEND
            ? 0.299f * colors[0] + 0.587f * colors[1] + 0.114f * colors[2] : 0.5f);
        return;
    }
#pragma unroll
    for (int c = 0; c < 3; c++)
        target[c * to.of[1]] = narrow<T>(colors[c]);
}
