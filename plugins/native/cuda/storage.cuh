/* Element types as they are stored, and how a thread moves several of them at once.
 *
 * Stands on nothing but the compiler: the toolkit's cuda_fp16.h and cuda_bf16.h come with no
 * wheel of NVRTC, and would take longer to compile than our kernels.
 */
#pragma once

namespace plugrt {

struct float16 {
    unsigned short bits;
};
struct bfloat16 {
    unsigned short bits;
};
struct float8_e4m3fn { /* 4 bits of exponent, no infinities */
    unsigned char bits;
};
struct float8_e5m2 { /* the first byte of a float16 */
    unsigned char bits;
};
struct boolean {
    unsigned char bits;
};
using int8 = signed char;
using uint8 = unsigned char;
using int16 = short;
using uint16 = unsigned short;
using int32 = int;
using uint32 = unsigned int;
using int64 = long long;
using uint64 = unsigned long long;

/* ---- widening: stored element -> type of computation -------------------------------------- */

template <typename C, typename T> struct Widen {
    static __device__ __forceinline__ C of(T value) { return static_cast<C>(value); }
};
template <typename C> struct Widen<C, float16> {
    static __device__ __forceinline__ C of(float16 value)
    {
        float wide;
        asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
        return static_cast<C>(wide);
    }
};
template <typename C> struct Widen<C, bfloat16> {
    static __device__ __forceinline__ C of(bfloat16 value)
    {
        return static_cast<C>(__uint_as_float(static_cast<unsigned>(value.bits) << 16));
    }
};
template <typename C> struct Widen<C, float8_e4m3fn> {
    static __device__ __forceinline__ C of(float8_e4m3fn value)
    {
        const unsigned sign = static_cast<unsigned>(value.bits & 0x80u) << 24;
        const unsigned size = value.bits & 0x7fu;
        float wide = __uint_as_float((size << 20) + (120u << 23));
        if (size < 8u)
            wide = size * 0.001953125f; /* 2^-9: below the least exponent */
        if (size == 0x7fu)
            wide = __uint_as_float(0x7fffffffu);
        return static_cast<C>(__uint_as_float(__float_as_uint(wide) | sign));
    }
};
template <typename C> struct Widen<C, float8_e5m2> {
    static __device__ __forceinline__ C of(float8_e5m2 value)
    {
        const float16 half = {static_cast<unsigned short>(value.bits << 8)};
        return Widen<C, float16>::of(half);
    }
};
template <typename C> struct Widen<C, boolean> {
    static __device__ __forceinline__ C of(boolean value)
    {
        return static_cast<C>(value.bits != 0);
    }
};

template <typename C, typename T> __device__ __forceinline__ C widen(T value)
{
    return Widen<C, T>::of(value);
}

/* ---- narrowing: type of computation -> stored element ---------------------------------------
 * Integers wrap. Floating point as integers truncates and saturates, NaN becoming 0. */

__device__ __forceinline__ float16 to_float16(float value)
{
    float16 narrow;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(narrow.bits) : "f"(value));
    return narrow;
}

__device__ __forceinline__ bfloat16 to_bfloat16(float value)
{
    bfloat16 narrow;
#if __CUDA_ARCH__ >= 900
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(narrow.bits) : "f"(value));
#else
    const unsigned bits = __float_as_uint(value);
    const unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    narrow.bits = value == value ? static_cast<unsigned short>(rounded) : 0x7fffu;
#endif
    return narrow;
}

/* Rounds half to even to MANTISSA bits behind the leading one; `bias` is that of the exponent.
 * For finite values that do not overflow. */
template <int MANTISSA> __device__ __forceinline__ unsigned char to_float8(float value, int bias)
{
    constexpr int SHIFT = 23 - MANTISSA;
    const unsigned size = __float_as_uint(value) & 0x7fffffffu;
    unsigned rounded;
    if (size >> 23 >= 128u - bias)
        rounded = (size - ((127u - bias) << 23) + (1u << (SHIFT - 1)) - 1u + (size >> SHIFT & 1u))
            >> SHIFT;
    else /* below the least exponent: whole multiples of the smallest number */
        rounded = static_cast<unsigned>(rintf(
            __uint_as_float(size) * __uint_as_float((127u + bias - 1u + MANTISSA) << 23)));
    return static_cast<unsigned char>(rounded | (__float_as_uint(value) >> 31 << 7));
}

__device__ __forceinline__ float8_e4m3fn to_float8_e4m3fn(float value)
{
    const unsigned sign = __float_as_uint(value) >> 31 << 7;
    if (!(fabsf(value) <= 464.0f)) /* half a step above the largest number, or NaN */
        return {static_cast<unsigned char>(sign | 0x7fu)};
    return {to_float8<3>(value, 7)};
}

__device__ __forceinline__ float8_e5m2 to_float8_e5m2(float value)
{
    const unsigned sign = __float_as_uint(value) >> 31 << 7;
    if (!(fabsf(value) < 61440.0f)) /* half a step above the largest number, or NaN */
        return {static_cast<unsigned char>(sign | (value == value ? 0x7cu : 0x7eu))};
    return {to_float8<2>(value, 15)};
}

template <typename T, typename C> struct Narrow {
    static __device__ __forceinline__ T of(C value) { return static_cast<T>(value); }
};
template <typename C> struct Narrow<float16, C> {
    static __device__ __forceinline__ float16 of(C value)
    {
        return to_float16(static_cast<float>(value));
    }
};
template <typename C> struct Narrow<bfloat16, C> {
    static __device__ __forceinline__ bfloat16 of(C value)
    {
        return to_bfloat16(static_cast<float>(value));
    }
};
template <typename C> struct Narrow<float8_e4m3fn, C> {
    static __device__ __forceinline__ float8_e4m3fn of(C value)
    {
        return to_float8_e4m3fn(static_cast<float>(value));
    }
};
template <typename C> struct Narrow<float8_e5m2, C> {
    static __device__ __forceinline__ float8_e5m2 of(C value)
    {
        return to_float8_e5m2(static_cast<float>(value));
    }
};
template <typename C> struct Narrow<boolean, C> {
    static __device__ __forceinline__ boolean of(C value)
    {
        return boolean{static_cast<unsigned char>(value != 0)};
    }
};

template <typename T, typename C>
__device__ __forceinline__ T saturated(C value, double low, double beyond, T least, T most)
{
    if (!(value == value))
        return T(0);
    if (static_cast<double>(value) <= low)
        return least;
    return static_cast<double>(value) >= beyond ? most : static_cast<T>(value);
}

#define PLUGRT_SMALL_INTEGER(type, least, most)                                               \
    template <> struct Narrow<type, float> {                                                  \
        static __device__ __forceinline__ type of(float value)                                \
        {                                                                                     \
            const int whole = __float2int_rz(value); /* saturates; NaN becomes 0 */           \
            return static_cast<type>(whole < (least) ? (least) : whole > (most) ? (most)      \
                                                                                : whole);     \
        }                                                                                     \
    };
PLUGRT_SMALL_INTEGER(int8, -128, 127)
PLUGRT_SMALL_INTEGER(uint8, 0, 255)
PLUGRT_SMALL_INTEGER(int16, -32768, 32767)
PLUGRT_SMALL_INTEGER(uint16, 0, 65535)

#define PLUGRT_INTEGER(type, real, low, beyond, least, most)                                  \
    template <> struct Narrow<type, real> {                                                   \
        static __device__ __forceinline__ type of(real value)                                 \
        {                                                                                     \
            return saturated<type, real>(value, low, beyond, least, most);                    \
        }                                                                                     \
    };
PLUGRT_INTEGER(int8, double, -128.0, 127.0, -128, 127)
PLUGRT_INTEGER(uint8, double, 0.0, 255.0, 0, 255)
PLUGRT_INTEGER(int16, double, -32768.0, 32767.0, -32768, 32767)
PLUGRT_INTEGER(uint16, double, 0.0, 65535.0, 0, 65535)
PLUGRT_INTEGER(int32, float, -2147483648.0, 2147483648.0, -2147483647 - 1, 2147483647)
PLUGRT_INTEGER(int32, double, -2147483648.0, 2147483648.0, -2147483647 - 1, 2147483647)
PLUGRT_INTEGER(uint32, float, 0.0, 4294967296.0, 0u, 4294967295u)
PLUGRT_INTEGER(uint32, double, 0.0, 4294967296.0, 0u, 4294967295u)
PLUGRT_INTEGER(int64, float, -9223372036854775808.0, 9223372036854775808.0,
    -9223372036854775807LL - 1, 9223372036854775807LL)
PLUGRT_INTEGER(int64, double, -9223372036854775808.0, 9223372036854775808.0,
    -9223372036854775807LL - 1, 9223372036854775807LL)
PLUGRT_INTEGER(uint64, float, 0.0, 18446744073709551616.0, 0ULL, 18446744073709551615ULL)
PLUGRT_INTEGER(uint64, double, 0.0, 18446744073709551616.0, 0ULL, 18446744073709551615ULL)

template <typename T, typename C> __device__ __forceinline__ T narrow(C value)
{
    return Narrow<T, C>::of(value);
}

/* ---- several elements at once --------------------------------------------------------------- */

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

template <typename C> __device__ __forceinline__ C infinity();
template <> __device__ __forceinline__ float infinity<float>()
{
    return __int_as_float(0x7f800000);
}
template <> __device__ __forceinline__ double infinity<double>()
{
    return __longlong_as_double(0x7ff0000000000000LL);
}

/* What no maximum is below: minus infinity, or what a type has in its place. */
template <typename T> __device__ __forceinline__ T lowest()
{
    return narrow<T>(-infinity<float>());
}
template <> __device__ __forceinline__ float8_e4m3fn lowest<float8_e4m3fn>()
{
    return {0xfeu};
}

} // namespace plugrt
