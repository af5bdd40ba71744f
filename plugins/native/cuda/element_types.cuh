/* Element types as they are stored, and their conversion.
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
