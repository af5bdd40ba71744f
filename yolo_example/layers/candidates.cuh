/* Heads of an image, and the candidates for boxes in them, which have keys: their activation and
 * decoding are as in boxes.c. */
#pragma once
#include "division.cuh"
#include "storage.cuh"

using namespace plugrt;

constexpr int LIST_ROOM = 128; /* candidates in the list of a block; others are counted only */
constexpr int MOST_HEADS = 8;

enum { CENTRE_LOGISTIC = 1, OBJECTNESS_LOGISTIC = 2, CLASSES_LOGISTIC = 4, SQUARED = 8 };

/* What is told of every head. `softmax` is the first plane that goes through it, or -1; an
 * objectness of -1 is 1 everywhere. The boxes of all heads are numbered, by head, cell and anchor,
 * and so are the blocks that list them. */
struct Numbers {
    int planes, height, objectness, first_class, softmax, flags, first_box, first_anchor,
        first_block;
};
struct AllNumbers {
    Numbers of[MOST_HEADS];
};
struct Extents { /* what is divided by */
    Divisor anchors, width;
};
struct AllExtents {
    Extents of[MOST_HEADS];
};
struct Scaling {
    float scale, shift; /* of the centre */
};
struct AllScaling {
    Scaling of[MOST_HEADS];
};
struct Strides {
    int plane, row, column;
};
struct AllStrides {
    Strides of[MOST_HEADS];
};
struct ImageStrides {
    long long of[MOST_HEADS];
};

__device__ __forceinline__ float logistic(float value)
{
    return 1.0f / (1.0f + expf(-value));
}

/* Bits that grow with the number. */
__device__ __forceinline__ unsigned rising(float value)
{
    const unsigned bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float risen(unsigned bits)
{
    return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

struct __align__(16) Box {
    float x, y, width, height;
};

/* A class of a box whose score exceeds the threshold. Keys rise with falling score, then class,
 * then box, and no two are equal. */
struct __align__(16) Candidate {
    Box box;
    uint64 key;
};

/* Where a box is in its head. */
struct Place {
    unsigned anchor, row, column;
};

/* One head in one image. */
template <typename T> struct Head {
    const T *values;
    const float *sizes; /* of the anchors of all heads */
    Numbers numbers;
    Extents extents;
    Scaling scaling;
    Strides strides;

    __device__ __forceinline__ int boxes() const
    {
        return extents.anchors.size * extents.width.size * numbers.height;
    }

    __device__ __forceinline__ Place place(int box) const
    {
        unsigned rest = box;
        const unsigned anchor = extents.anchors.split(rest), column = extents.width.split(rest);
        return Place{anchor, rest, column};
    }

    /* Where the planes of a box begin. */
    __device__ __forceinline__ const T *at(const Place &place) const
    {
        return values + static_cast<int>(place.anchor) * numbers.planes * strides.plane
            + static_cast<int>(place.row) * strides.row
            + static_cast<int>(place.column) * strides.column;
    }

    __device__ __forceinline__ float plane(const T *planes, int index) const
    {
        return widen<float>(planes[index * strides.plane]);
    }

    __device__ __forceinline__ float objectness(const T *planes) const
    {
        if (numbers.objectness < 0)
            return 1.0f;
        const float value = plane(planes, numbers.objectness);
        return numbers.flags & OBJECTNESS_LOGISTIC ? logistic(value) : value;
    }

    /* Of a box: its centre's place in the row and in the column, width, height. */
    __device__ __forceinline__ float coordinate(
        int which, const Place &place, const T *planes) const
    {
        const float value = plane(planes, which);
        const bool is_size = which >= 2;
        const float grown = expf(is_size ? value : -value);
        if (is_size)
            return (numbers.flags & SQUARED ? 4.0f * value * value : grown)
                * sizes[2 * (numbers.first_anchor + static_cast<int>(place.anchor)) + which - 2];
        float centre = numbers.flags & CENTRE_LOGISTIC ? 1.0f / (1.0f + grown) : value;
        centre = centre * scaling.scale + scaling.shift;
        const unsigned cell = which == 0 ? place.column : place.row;
        const unsigned extent = which == 0 ? extents.width.size : numbers.height;
        return (static_cast<float>(cell) + centre) / static_cast<float>(extent);
    }
};

__device__ __forceinline__ float over_warp_largest(float value)
{
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, apart));
    return value;
}

__device__ __forceinline__ float over_warp_sum(float value)
{
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, apart);
    return value;
}

/* Shows `visit` every class of a box whose score exceeds `threshold`, where the box has a place;
 * a warp together. */
template <typename T, typename Visit>
__device__ __forceinline__ void visit_box(
    const Head<T> &head, int box, int classes, int total, float threshold, Visit visit)
{
    constexpr unsigned ALL = 0xffffffffu;
    const int lane = threadIdx.x % 32;
    const Place place = head.place(box);
    const T *planes = head.at(place);
    const auto load = [&](int first, float(&values)[4]) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const int c = first + 32 * k;
            values[k] = c < classes ? head.plane(planes, head.numbers.first_class + c) : 0.0f;
        }
    };
    float values[4];
    load(lane, values); /* before anything waits for others */
    const float certainty = head.objectness(planes);
    const float own = head.coordinate(lane % 4, place, planes);
    if (!__all_sync(ALL, isfinite(own)))
        return;
    const Box where{__shfl_sync(ALL, own, 0), __shfl_sync(ALL, own, 1), __shfl_sync(ALL, own, 2),
        __shfl_sync(ALL, own, 3)};
    float largest = 0.0f, sum = 1.0f;
    const bool has_softmax = head.numbers.softmax >= 0;
    if (has_softmax) {
        largest = -infinity<float>();
#pragma unroll 4
        for (int p = head.numbers.softmax + lane; p < head.numbers.planes; p += 32)
            largest = fmaxf(largest, head.plane(planes, p));
        largest = over_warp_largest(largest);
        sum = 0.0f;
#pragma unroll 1
        for (int p = head.numbers.softmax + lane; p < head.numbers.planes; p += 32)
            sum += expf(head.plane(planes, p) - largest);
        sum = over_warp_sum(sum);
    }
    for (int first = lane;;) {
#pragma unroll 1 /* instructions are fetched, too */
        for (int k = 0; k < 4; k++) {
            const int c = first + 32 * k;
            if (c >= classes)
                break;
            float value = k == 0 ? values[0] : k == 1 ? values[1] : k == 2 ? values[2] : values[3];
            if (has_softmax)
                value = expf(value - largest) / sum;
            else if (head.numbers.flags & CLASSES_LOGISTIC)
                value = logistic(value);
            const float score = certainty * value;
            if (score > threshold)
                visit(Candidate{where,
                    static_cast<uint64>(~rising(score)) << 32
                        | (static_cast<unsigned>(c) * static_cast<unsigned>(total)
                            + static_cast<unsigned>(head.numbers.first_box + box))});
        }
        first += 4 * 32;
        if (first - lane >= classes)
            return;
        load(first, values);
    }
}

/* The heads of an image, for all threads of a block after its next barrier. */
template <typename T>
__device__ __forceinline__ void share_heads(Head<T> *heads, const T *const (&values)[MOST_HEADS],
    const float *sizes, const AllNumbers &numbers, const AllScaling &scaling,
    const AllExtents &extents, const AllStrides &strides, const ImageStrides &image_strides,
    int head_count, int image)
{
    const int h = threadIdx.x;
    const T *own = values[0];
#pragma unroll
    for (int k = 1; k < MOST_HEADS; k++)
        own = h == k ? values[k] : own;
    if (h < head_count)
        heads[h] = Head<T>{own + image * image_strides.of[h], sizes, numbers.of[h],
            extents.of[h], scaling.of[h], strides.of[h]};
}
