/* Upsampling by whole factors: repeated elements, or linear interpolation. */
#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Three {
    int of[3];
};
struct Sizes {
    Divisor of[5]; /* images, packs of channels, and three spatial ones */
};
struct Scales {
    Divisor of[3];
};
struct Strides {
    long long of[5];
    __device__ __forceinline__ long long at(int n, int c, int z, int y, int x) const
    {
        return n * of[0] + c * of[1] + z * of[2] + y * of[3] + x * of[4];
    }
};

/* The output element that a thread begins with; channels or x are the fastest. */
template <int PACK> struct Place {
    int n, c, z, y, x;
    __device__ __forceinline__ Place(unsigned rest, const Sizes &size, int channels_fastest)
    {
        c = 0;
        if (channels_fastest)
            c = size.of[1].split(rest) * PACK;
        x = size.of[4].split(rest);
        y = size.of[3].split(rest);
        z = size.of[2].split(rest);
        if (!channels_fastest)
            c = size.of[1].split(rest) * PACK;
        n = rest;
    }
};

/* T is what moves, unless there is an epilogue: then it is the element's type. */
template <typename T, int PACK, bool FUSED>
__global__ void __launch_bounds__(256) upsample_nearest(const T *input,
    T *output, unsigned count, int channels_fastest, Sizes size, Scales scale,
    Strides from, Strides to EPILOGUE_PARAMETERS)
{
    await_predecessors();
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= count)
        return;
    const Place<PACK> at(index, size, channels_fastest);
    const Packed<T, PACK> pack = load_packed<T, PACK>(input
        + from.at(at.n, at.c, scale.of[0].quotient(at.z), scale.of[1].quotient(at.y),
            scale.of[2].quotient(at.x)));
    T *place = output + to.at(at.n, at.c, at.z, at.y, at.x);
    if constexpr (FUSED) {
        float values[PACK];
        widen_all<float, T, PACK>(pack, values);
        const Epilogue epilogue = EPILOGUE_VALUES;
        epilogue.apply(values, PACK, at.n, at.c, at.z, at.y, at.x);
        store<T, float, PACK>(place, values);
    } else {
        store_packed<T, PACK>(place, pack);
    }
}

/* Where an output position lies in the input: half_pixel, asymmetric, align_corners. */
struct Sample {
    int below, above;
    float weight;
    __device__ __forceinline__ Sample(int position, int size, int scale, int coordinates)
    {
        float at = static_cast<float>(position);
        if (coordinates == 0) /* rounded as NumPy does, never contracted */
            at = __fsub_rn(__fdiv_rn(__fadd_rn(at, 0.5f), static_cast<float>(scale)), 0.5f);
        else if (coordinates == 1)
            at = __fdiv_rn(at, static_cast<float>(scale));
        else
            at = __fdiv_rn(__fmul_rn(at, static_cast<float>(size - 1)),
                static_cast<float>(size * scale > 2 ? size * scale - 1 : 1));
        at = fminf(fmaxf(at, 0.0f), static_cast<float>(size - 1));
        below = static_cast<int>(floorf(at));
        above = below + 1 < size ? below + 1 : size - 1;
        weight = at - static_cast<float>(below);
    }
};

template <typename T, int PACK>
__device__ __forceinline__ void mix(float (&low)[PACK], const float (&high)[PACK], float weight)
{
#pragma unroll
    for (int k = 0; k < PACK; k++)
        low[k] += (high[k] - low[k]) * weight;
}

template <typename T, int PACK>
__global__ void __launch_bounds__(256) upsample_linear(const T *input,
    T *output, unsigned count, int channels_fastest, Sizes size, Three scale,
    Three input_size, int coordinates, Strides from, Strides to EPILOGUE_PARAMETERS)
{
    await_predecessors();
    const unsigned index = blockIdx.x * 256u + threadIdx.x;
    if (index >= count)
        return;
    const Place<PACK> at(index, size, channels_fastest);
    const Sample z(at.z, input_size.of[0], scale.of[0], coordinates);
    const Sample y(at.y, input_size.of[1], scale.of[1], coordinates);
    const Sample x(at.x, input_size.of[2], scale.of[2], coordinates);
    float planes[2][PACK];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (i && z.weight == 0.0f)
            break;
        float lines[2][PACK];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const T *line = input + from.at(at.n, at.c, i ? z.above : z.below,
                j ? y.above : y.below, 0);
            float right[PACK];
            load<float, T, PACK>(line + x.below * from.of[4], lines[j]);
            load<float, T, PACK>(line + x.above * from.of[4], right);
            mix<T, PACK>(lines[j], right, x.weight);
        }
        mix<T, PACK>(lines[0], lines[1], y.weight);
#pragma unroll
        for (int k = 0; k < PACK; k++)
            planes[i][k] = lines[0][k];
    }
    if (z.weight != 0.0f)
        mix<T, PACK>(planes[0], planes[1], z.weight);
    const Epilogue epilogue = EPILOGUE_VALUES;
    epilogue.apply(planes[0], PACK, at.n, at.c, at.z, at.y, at.x);
    store<T, float, PACK>(output + to.at(at.n, at.c, at.z, at.y, at.x), planes[0]);
}
