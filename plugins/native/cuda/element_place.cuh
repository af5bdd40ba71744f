/* Which element of a tensor a thread is for. Tensors have N, C and three spatial axes, those that
 * are missing of size 1. */
#pragma once

namespace plugrt {

struct FiveSizes {
    int of[5];
};
struct FiveStrides {
    long long of[5];
};

struct Place {
    int n, c, z, y, x;

    __device__ __forceinline__ long long in(const FiveStrides &strides) const
    {
        return n * strides.of[0] + c * strides.of[1] + z * strides.of[2] + y * strides.of[3]
            + x * strides.of[4];
    }
};

/* Element `index` in the order of memory: the last axis fastest, or the channels before all. */
__device__ __forceinline__ Place place_of(
    unsigned index, const FiveSizes &size, bool channels_fastest)
{
    Place place;
    if (channels_fastest) {
        place.c = index % size.of[1];
        index /= size.of[1];
    }
    place.x = index % size.of[4];
    index /= size.of[4];
    place.y = index % size.of[3];
    index /= size.of[3];
    place.z = index % size.of[2];
    index /= size.of[2];
    if (!channels_fastest) {
        place.c = index % size.of[1];
        index /= size.of[1];
    }
    place.n = index;
    return place;
}

} // namespace plugrt
