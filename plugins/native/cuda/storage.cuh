/* Element types, and how a thread moves several elements at once. */
#pragma once
#include "element_types.cuh"

namespace plugrt {

template <int BYTES> struct Word;
template <> struct Word<1> {
    using type = unsigned char;
};
template <> struct Word<2> {
    using type = unsigned short;
};
template <> struct Word<4> {
    using type = unsigned int;
};
template <> struct Word<8> {
    using type = uint2;
};
template <> struct Word<16> {
    using type = uint4;
};

/* N elements as the fewest accesses of up to 16 bytes; N * sizeof(T) is a power of two. */
template <typename T, int N> union Packed {
    static constexpr int BYTES = N * static_cast<int>(sizeof(T));
    static constexpr int WIDTH = BYTES < 16 ? BYTES : 16;
    using word = typename Word<WIDTH>::type;
    word words[BYTES / WIDTH];
    T elements[N];
};

/* `address` is a multiple of the access's width. */
template <typename T, int N>
__device__ __forceinline__ Packed<T, N> load_packed(const T *address)
{
    using Pack = Packed<T, N>;
    Pack pack;
#pragma unroll
    for (int k = 0; k < Pack::BYTES / Pack::WIDTH; k++)
        pack.words[k] = reinterpret_cast<const typename Pack::word *>(address)[k];
    return pack;
}

template <typename T, int N>
__device__ __forceinline__ void store_packed(T *address, const Packed<T, N> &pack)
{
    using Pack = Packed<T, N>;
#pragma unroll
    for (int k = 0; k < Pack::BYTES / Pack::WIDTH; k++)
        reinterpret_cast<typename Pack::word *>(address)[k] = pack.words[k];
}

template <typename C, typename T, int N>
__device__ __forceinline__ void widen_all(const Packed<T, N> &pack, C (&values)[N])
{
#pragma unroll
    for (int k = 0; k < N; k++)
        values[k] = widen<C, T>(pack.elements[k]);
}

/* Two neighbours in one instruction, where there is one: PAIRS tells. */
template <typename T, typename C> struct NarrowPair {
    static constexpr bool PAIRS = false;
    static __device__ __forceinline__ unsigned of(C, C) { return 0; }
};
#if __CUDA_ARCH__ >= 800
template <> struct NarrowPair<float16, float> {
    static constexpr bool PAIRS = true;
    static __device__ __forceinline__ unsigned of(float low, float high)
    {
        unsigned pair;
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
        return pair;
    }
};
template <> struct NarrowPair<bfloat16, float> {
    static constexpr bool PAIRS = true;
    static __device__ __forceinline__ unsigned of(float low, float high)
    {
        unsigned pair;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
        return pair;
    }
};
#endif

template <typename T, typename C, int N>
__device__ __forceinline__ Packed<T, N> narrow_all(const C (&values)[N])
{
    using Pair = NarrowPair<T, C>;
    Packed<T, N> pack;
    if (Pair::PAIRS && N % 2 == 0) {
        union {
            unsigned pairs[N / 2 > 0 ? N / 2 : 1];
            Packed<T, N> pack;
        } both;
#pragma unroll
        for (int k = 0; k + 1 < N; k += 2)
            both.pairs[k / 2] = Pair::of(values[k], values[k + 1]);
        return both.pack;
    }
#pragma unroll
    for (int k = 0; k < N; k++)
        pack.elements[k] = narrow<T, C>(values[k]);
    return pack;
}

template <typename C, typename T, int N>
__device__ __forceinline__ void load(const T *address, C (&values)[N])
{
    widen_all<C, T, N>(load_packed<T, N>(address), values);
}

template <typename T, typename C, int N>
__device__ __forceinline__ void store(T *address, const C (&values)[N])
{
    store_packed<T, N>(address, narrow_all<T, C, N>(values));
}

/* Element by element: addresses of any alignment, `step` elements apart, the first `count`. */
template <typename C, typename T, int N>
__device__ __forceinline__ void load_some(
    const T *address, long long step, int count, C (&values)[N])
{
#pragma unroll
    for (int k = 0; k < N; k++)
        values[k] = k < count ? widen<C, T>(address[k * step]) : C(0);
}

template <typename T, typename C, int N>
__device__ __forceinline__ void store_some(
    T *address, long long step, int count, const C (&values)[N])
{
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < count)
            address[k * step] = narrow<T, C>(values[k]);
}

} // namespace plugrt
