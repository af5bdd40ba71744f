/* What implicit_gemm.cu is told of a convolution and its tiles, and the places of its rings. */
#pragma once
#include "division.cuh"

namespace plugrt {

constexpr int MOST_TAPS = 32;

struct Strides {
    long long of[4]; /* images, channels, rows, points */
};
struct Shifts {
    int of[MOST_TAPS]; /* by tap, how many slots away its points lie */
};
struct Tile {
    unsigned images, rows, columns; /* of the output */
    unsigned down, across;          /* tiles of an image */
    unsigned slots;                 /* of a chunk: odd, so that no two banks meet */
    unsigned group_pitch;           /* slots from eight points to the next eight */
    Divisor pitch;                  /* slots from row to row in a plane */
    Divisor image_rows;             /* of an image in a plane */
    Divisor plane_images;
    Divisor planes_across; /* of the input, each with every so many-th point */
    Divisor row_points;    /* points from row to row, as the instruction counts them */
};
struct Sizes {
    int images, channels, outputs, input[2], output[2], strides[2], before[2];
    int chunks, chunk_stages, input_stages, weight_stages;
};

/* What the instruction is told of a factor: where it begins, and how many 16 bytes lie between
 * eight channels and the next eight, and between eight rows and the next eight. In a cluster
 * addresses of shared memory have more bits than the 18 that tell the place in one block. */
struct Factor {
    unsigned low, high;
    __device__ __forceinline__ Factor(
        unsigned address, unsigned channels_apart, unsigned rows_apart)
        : low((address & 0x3ffff) >> 4 | channels_apart << 16), high(rows_apart)
    {
    }
    /* So many times 16 bytes further. */
    __device__ __forceinline__ unsigned long long at(unsigned distance) const
    {
        return static_cast<unsigned long long>(high) << 32 | (low + distance);
    }
};

/* A place in a ring, and whether barriers have turned an odd number of times. */
struct Ring {
    int size, at;
    unsigned parity;
    __device__ __forceinline__ void advance()
    {
        if (++at == size) {
            at = 0;
            parity ^= 1;
        }
    }
};

/* Neighbouring elements that a thread stores: where their sums lie in the tile, and what they
 * are of; those that the output lacks are taken for its first. */
struct Item {
    unsigned point;
    int own, image, channel, y, x;
    bool exists;
};

} // namespace plugrt
