/* Pooling: one value of every window, its epilogue applied. */
#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "expression.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Three {
    int of[3];
};
struct Sizes {
    Divisor of[5]; /* images, packs of channels, and three spatial ones */
};
struct Strides {
    long long of[5];
    __device__ __forceinline__ long long at(int n, int c, int z, int y, int x) const
    {
        return n * of[0] + c * of[1] + z * of[2] + y * of[3] + x * of[4];
    }
};

/* The positions of one axis that lie in the input, and how many lie in the padded input. */
struct Range {
    int begin, end, room;
    __device__ __forceinline__ Range(
        int start, int kernel, int dilation, int size, int before, int after)
    {
        begin = start < 0 ? steps(-start, dilation) : 0;
        const int fit = steps(size - start, dilation);
        end = fit < kernel ? (fit < begin ? begin : fit) : kernel;
        const int all = steps(size + after - start, dilation);
        room = all < kernel ? all : kernel;
    }
    static __device__ __forceinline__ int steps(int distance, int dilation)
    {
        return dilation == 1 ? distance : (distance + dilation - 1) / dilation;
    }
};

/* Maxima of pairs of neighbours as they are stored: PAIRS tells whether there is an instruction. */
template <typename T> struct PairMaximum {
    static constexpr bool PAIRS = false;
    static __device__ __forceinline__ unsigned of(unsigned a, unsigned) { return a; }
};
#if __CUDA_ARCH__ >= 800
template <> struct PairMaximum<float16> {
    static constexpr bool PAIRS = true;
    static __device__ __forceinline__ unsigned of(unsigned a, unsigned b)
    {
        unsigned most;
        asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(most) : "r"(a), "r"(b));
        return most;
    }
};
template <> struct PairMaximum<bfloat16> {
    static constexpr bool PAIRS = true;
    static __device__ __forceinline__ unsigned of(unsigned a, unsigned b)
    {
        unsigned most;
        asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(most) : "r"(a), "r"(b));
        return most;
    }
};
#endif

/* What a window has come to for PACK neighbouring channels: a sum in float32, or the maximum as
 * it is stored. */
template <typename T, int PACK, bool AVERAGE> struct Pooled {
    float total[PACK];
    __device__ __forceinline__ Pooled()
    {
#pragma unroll
        for (int k = 0; k < PACK; k++)
            total[k] = 0.0f;
    }
    __device__ __forceinline__ void take(const Packed<T, PACK> &pack)
    {
#pragma unroll
        for (int k = 0; k < PACK; k++)
            total[k] += widen<float>(pack.elements[k]);
    }
    __device__ __forceinline__ void read(float (&values)[PACK]) const
    {
#pragma unroll
        for (int k = 0; k < PACK; k++)
            values[k] = total[k];
    }
};
template <typename T, int PACK> struct Pooled<T, PACK, false> {
    static constexpr int PAIRS = PairMaximum<T>::PAIRS ? PACK / 2 : 0;
    union {
        Packed<T, PACK> most;
        unsigned pairs[PAIRS > 0 ? PAIRS : 1];
    };
    __device__ __forceinline__ Pooled()
    {
#pragma unroll
        for (int k = 0; k < PACK; k++)
            most.elements[k] = lowest<T>();
    }
    __device__ __forceinline__ void take(const Packed<T, PACK> &pack)
    {
        if (PAIRS > 0) {
            const Pooled other(pack);
#pragma unroll
            for (int k = 0; k < PAIRS; k++)
                pairs[k] = PairMaximum<T>::of(pairs[k], other.pairs[k]);
            return;
        }
#pragma unroll
        for (int k = 0; k < PACK; k++)
            most.elements[k] = narrow<T>(operators::max_(
                widen<float>(most.elements[k]), widen<float>(pack.elements[k])));
    }
    __device__ __forceinline__ void read(float (&values)[PACK]) const
    {
        widen_all<float, T, PACK>(most, values);
    }

private:
    explicit __device__ __forceinline__ Pooled(const Packed<T, PACK> &pack) : most(pack) {}
};

/* Every thread computes PACK neighbouring channels of one window. The value stored is
 * (result - zero) * scale before the epilogue. A window of HEIGHT x WIDTH without dilation is
 * read at once; HEIGHT 0 stands for any other. */
template <typename T, int PACK, bool AVERAGE, int HEIGHT, int WIDTH>
__global__ void __launch_bounds__(256) pooling(const T *input, T *output, unsigned count,
    int channels_fastest, Three input_size, Sizes size, Three kernel, Three stride,
    Three dilation, Three before, Three after, int include_padding, float zero, float scale,
    Strides from, Strides to EPILOGUE_PARAMETERS)
{
    unsigned rest = blockIdx.x * 256u + threadIdx.x;
    const bool idle = rest >= count;
    int c = 0;
    if (channels_fastest)
        c = size.of[1].split(rest) * PACK;
    const int x = size.of[4].split(rest);
    const int y = size.of[3].split(rest);
    const int z = size.of[2].split(rest);
    if (!channels_fastest)
        c = size.of[1].split(rest) * PACK;
    const int n = rest;
    const int start_z = z * stride.of[0] - before.of[0];
    const int start_y = y * stride.of[1] - before.of[1];
    const int start_x = x * stride.of[2] - before.of[2];
    const Range depth(start_z, kernel.of[0], dilation.of[0], input_size.of[0], before.of[0],
        after.of[0]);
    const Range height(start_y, kernel.of[1], dilation.of[1], input_size.of[1], before.of[1],
        after.of[1]);
    const Range width(start_x, kernel.of[2], dilation.of[2], input_size.of[2], before.of[2],
        after.of[2]);
    await_predecessors();
    if (idle)
        return;
    const Epilogue epilogue = EPILOGUE_VALUES;
    Epilogue::Operands operands;
    epilogue.fetch(operands, PACK, n, c, z, y, x);
    Pooled<T, PACK, AVERAGE> pooled;
    if (HEIGHT > 0) {
        constexpr int ROWS = HEIGHT > 0 ? HEIGHT : 1, COLUMNS = WIDTH > 0 ? WIDTH : 1;
        const T *corner = input + from.at(n, c, start_z, start_y, start_x);
        Packed<T, PACK> seen[ROWS][COLUMNS];
        bool inside[ROWS][COLUMNS];
#pragma unroll
        for (int j = 0; j < ROWS; j++)
#pragma unroll
            for (int k = 0; k < COLUMNS; k++) {
                inside[j][k] =
                    j >= height.begin && j < height.end && k >= width.begin && k < width.end;
                if (inside[j][k])
                    seen[j][k] =
                        load_packed<T, PACK>(corner + j * from.of[3] + k * from.of[4]);
            }
#pragma unroll
        for (int j = 0; j < ROWS; j++)
#pragma unroll
            for (int k = 0; k < COLUMNS; k++)
                if (inside[j][k])
                    pooled.take(seen[j][k]);
    } else {
        for (int i = depth.begin; i < depth.end; i++)
            for (int j = height.begin; j < height.end; j++) {
                const T *row = input + from.at(n, c, start_z + i * dilation.of[0],
                    start_y + j * dilation.of[1], start_x);
                const long long step = from.of[4] * dilation.of[2];
#pragma unroll 4
                for (int k = width.begin; k < width.end; k++)
                    pooled.take(load_packed<T, PACK>(row + k * step));
            }
    }
    float total[PACK];
    pooled.read(total);
    float shift = zero, factor = scale;
    if (AVERAGE) {
        const float valid = static_cast<float>(depth.end - depth.begin)
            * static_cast<float>(height.end - height.begin)
            * static_cast<float>(width.end - width.begin);
        const float room = static_cast<float>(depth.room) * static_cast<float>(height.room)
            * static_cast<float>(width.room);
        shift = zero * valid;
        factor = scale / (include_padding ? room : valid);
    }
#pragma unroll
    for (int k = 0; k < PACK; k++)
        total[k] = (total[k] - shift) * factor;
    epilogue.finish(total, operands);
    store<T, float, PACK>(output + to.at(n, c, z, y, x), total);
}

/* Maxima over large windows of small channels-last images, first along the rows, then along the
 * columns. A block computes LANES packs of channels of one image, which lies in shared memory;
 * behind it lie the maxima of its rows. */
template <typename T, int PACK, int LANES>
__global__ void __launch_bounds__(256) pooling_in_two(const T *input,
    T *output, int groups, int height, int width, int rows, Divisor columns,
    Three kernel, Three stride, Three before, float zero, float scale, Strides from,
    Strides to EPILOGUE_PARAMETERS)
{
    extern __shared__ uint4 room[];
    await_predecessors();
    constexpr int POINTS = 256 / LANES;
    Packed<T, PACK> *image = reinterpret_cast<Packed<T, PACK> *>(room);
    Packed<T, PACK> *lines = image + height * width * LANES;
    const int lane = threadIdx.x % LANES, first = threadIdx.x / LANES;
    const int n = blockIdx.x / groups;
    const int c = (blockIdx.x % groups * LANES + lane) * PACK;
    const T *source = input + n * from.of[0] + c;
    for (int point = first; point < height * width; point += POINTS)
        image[point * LANES + lane] = load_packed<T, PACK>(
            source + point / width * from.of[3] + point % width * from.of[4]);
    __syncthreads();
    for (int point = first; point < height * static_cast<int>(columns.size); point += POINTS) {
        unsigned y = point;
        const int start = columns.split(y) * stride.of[2] - before.of[2];
        const int begin = start < 0 ? 0 : start;
        const int end = start + kernel.of[2] < width ? start + kernel.of[2] : width;
        float most[PACK];
#pragma unroll
        for (int k = 0; k < PACK; k++)
            most[k] = -infinity<float>();
        for (int x = begin; x < end; x++) {
            float value[PACK];
            widen_all<float, T, PACK>(image[(y * width + x) * LANES + lane], value);
#pragma unroll
            for (int k = 0; k < PACK; k++)
                most[k] = operators::max_(most[k], value[k]);
        }
        lines[point * LANES + lane] = narrow_all<T, float, PACK>(most);
    }
    __syncthreads();
    const Epilogue epilogue = EPILOGUE_VALUES;
    for (int point = first; point < rows * static_cast<int>(columns.size); point += POINTS) {
        unsigned row = point;
        const int x = columns.split(row), y = row;
        const int start = y * stride.of[1] - before.of[1];
        const int begin = start < 0 ? 0 : start;
        const int end = start + kernel.of[1] < height ? start + kernel.of[1] : height;
        float most[PACK];
#pragma unroll
        for (int k = 0; k < PACK; k++)
            most[k] = -infinity<float>();
        for (int j = begin; j < end; j++) {
            float value[PACK];
            widen_all<float, T, PACK>(
                lines[(j * static_cast<int>(columns.size) + x) * LANES + lane], value);
#pragma unroll
            for (int k = 0; k < PACK; k++)
                most[k] = operators::max_(most[k], value[k]);
        }
#pragma unroll
        for (int k = 0; k < PACK; k++)
            most[k] = (most[k] - zero) * scale;
        epilogue.apply(most, PACK, n, c, 0, y, x);
        store<T, float, PACK>(output + to.at(n, c, 0, y, x), most);
    }
}
