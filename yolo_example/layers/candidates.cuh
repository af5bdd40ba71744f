/* Heads of an image, and the candidates for boxes in them, which have keys: their activation and
 * decoding are as in boxes.c. */
#pragma once
#include "storage.cuh"

using namespace plugrt;

constexpr int LIST_ROOM = 128; /* candidates in the list of a block; others are counted only */
constexpr int MOST_HEADS = 8;

enum { CENTRE_LOGISTIC = 1, OBJECTNESS_LOGISTIC = 2, CLASSES_LOGISTIC = 4, SQUARED = 8 };

/* What is told of every head. `softmax` is the first plane that goes through it, or -1; an
 * objectness of -1 is 1 everywhere. The boxes of all heads are numbered, by head, cell and anchor,
 * and so are the blocks that list them. */
struct Numbers {
    int anchors, planes, height, width, objectness, first_class, softmax, flags, first_box,
        first_anchor, first_block;
};
struct AllNumbers {
    Numbers of[MOST_HEADS];
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

struct Box {
    float x, y, width, height;
};

/* One head in one image. */
template <typename T> struct Head {
    const T *values;
    const float *sizes; /* of the anchors of all heads */
    Numbers numbers;
    Scaling scaling;
    Strides strides;

    __device__ __forceinline__ int boxes() const
    {
        return numbers.anchors * numbers.height * numbers.width;
    }

    /* Where the planes of a box begin. */
    __device__ __forceinline__ const T *at(int box) const
    {
        const int anchor = box % numbers.anchors, cell = box / numbers.anchors;
        return values + anchor * numbers.planes * strides.plane
            + cell / numbers.width * strides.row + cell % numbers.width * strides.column;
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

    __device__ __forceinline__ float centre(float value) const
    {
        if (numbers.flags & CENTRE_LOGISTIC)
            value = logistic(value);
        return value * scaling.scale + scaling.shift;
    }

    __device__ __forceinline__ Box box(int index, const T *planes) const
    {
        const int anchor = index % numbers.anchors, cell = index / numbers.anchors;
        const float w = plane(planes, 2), h = plane(planes, 3);
        const float *size = sizes + 2 * (numbers.first_anchor + anchor);
        const bool squared = numbers.flags & SQUARED;
        return Box{
            (cell % numbers.width + centre(plane(planes, 0))) / numbers.width,
            (cell / numbers.width + centre(plane(planes, 1))) / numbers.height,
            (squared ? 4.0f * w * w : expf(w)) * size[0],
            (squared ? 4.0f * h * h : expf(h)) * size[1],
        };
    }
};

__device__ __forceinline__ bool is_finite(const Box &box)
{
    return isfinite(box.x) && isfinite(box.y) && isfinite(box.width) && isfinite(box.height);
}

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

/* Shows `visit` the key of every class of a box whose score exceeds `threshold`, where the box
 * has a place; a warp together. Keys rise with falling score, then class, then box. */
template <typename T, typename Visit>
__device__ __forceinline__ void visit_box(
    const Head<T> &head, int box, int classes, int total, float threshold, Visit visit)
{
    const int lane = threadIdx.x % 32;
    const T *planes = head.at(box);
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
    if (!is_finite(head.box(box, planes)))
        return;
    float largest = 0.0f, sum = 1.0f;
    const bool has_softmax = head.numbers.softmax >= 0;
    if (has_softmax) {
        largest = -infinity<float>();
        for (int p = head.numbers.softmax + lane; p < head.numbers.planes; p += 32)
            largest = fmaxf(largest, head.plane(planes, p));
        largest = over_warp_largest(largest);
        sum = 0.0f;
        for (int p = head.numbers.softmax + lane; p < head.numbers.planes; p += 32)
            sum += expf(head.plane(planes, p) - largest);
        sum = over_warp_sum(sum);
    }
    for (int first = lane;;) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const int c = first + 32 * k;
            if (c >= classes)
                break;
            float value = values[k];
            if (has_softmax)
                value = expf(value - largest) / sum;
            else if (head.numbers.flags & CLASSES_LOGISTIC)
                value = logistic(value);
            const float score = certainty * value;
            if (score > threshold)
                visit(static_cast<uint64>(~rising(score)) << 32
                    | (static_cast<unsigned>(c) * static_cast<unsigned>(total)
                        + static_cast<unsigned>(head.numbers.first_box + box)));
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
    const AllStrides &strides, const ImageStrides &image_strides, int head_count, int image)
{
#pragma unroll
    for (int h = 0; h < MOST_HEADS; h++)
        if (threadIdx.x == h && h < head_count)
            heads[h] = Head<T>{values[h] + image * image_strides.of[h], sizes, numbers.of[h],
                scaling.of[h], strides.of[h]};
}
