/* The operators of expressions, by their names, in a type C of computation. Comparisons and
 * logic give 0 or 1; minima and maxima pass NaN on, as NumPy's do. */
#pragma once

namespace plugrt {
namespace operators {

#define PLUGRT_UNARY(name, float_form, double_form)                                           \
    __device__ __forceinline__ float name(float x) { return float_form; }                     \
    __device__ __forceinline__ double name(double x) { return double_form; }
PLUGRT_UNARY(exp_, expf(x), exp(x))
PLUGRT_UNARY(log_, logf(x), log(x))
PLUGRT_UNARY(sqrt_, sqrtf(x), sqrt(x))
PLUGRT_UNARY(rsqrt_, rsqrtf(x), rsqrt(x))
PLUGRT_UNARY(tanh_, tanhf(x), tanh(x))
PLUGRT_UNARY(erf_, erff(x), erf(x))
PLUGRT_UNARY(sin_, sinf(x), sin(x))
PLUGRT_UNARY(cos_, cosf(x), cos(x))
PLUGRT_UNARY(floor_, floorf(x), floor(x))
PLUGRT_UNARY(ceil_, ceilf(x), ceil(x))
PLUGRT_UNARY(round_, rintf(x), rint(x))
PLUGRT_UNARY(logistic_, 1.0f / (1.0f + expf(-x)), 1.0 / (1.0 + exp(-x)))

template <typename C> __device__ __forceinline__ C neg_(C x) { return -x; }
template <typename C> __device__ __forceinline__ C abs_(C x) { return x < C(0) ? -x : x; }
template <> __device__ __forceinline__ float abs_(float x) { return fabsf(x); }
template <> __device__ __forceinline__ double abs_(double x) { return fabs(x); }
template <typename C> __device__ __forceinline__ C sign_(C x)
{
    return x > C(0) ? C(1) : x < C(0) ? C(-1) : x; /* NaN and zeros as they are */
}
template <typename C> __device__ __forceinline__ C not_(C x) { return C(x == C(0)); }

template <typename C> __device__ __forceinline__ C add_(C a, C b) { return a + b; }
template <typename C> __device__ __forceinline__ C sub_(C a, C b) { return a - b; }
template <typename C> __device__ __forceinline__ C mul_(C a, C b) { return a * b; }
template <typename C> __device__ __forceinline__ C div_(C a, C b) { return a / b; }
template <typename C> __device__ __forceinline__ C lt_(C a, C b) { return C(a < b); }
template <typename C> __device__ __forceinline__ C le_(C a, C b) { return C(a <= b); }
template <typename C> __device__ __forceinline__ C eq_(C a, C b) { return C(a == b); }
template <typename C> __device__ __forceinline__ C and_(C a, C b) { return C(a != 0 && b != 0); }
template <typename C> __device__ __forceinline__ C or_(C a, C b) { return C(a != 0 || b != 0); }
template <typename C> __device__ __forceinline__ C select_(C condition, C yes, C no)
{
    return condition != C(0) ? yes : no;
}

template <typename C> __device__ __forceinline__ C min_(C a, C b)
{
    return a < b || a != a ? a : b;
}
template <typename C> __device__ __forceinline__ C max_(C a, C b)
{
    return a > b || a != a ? a : b;
}
#if __CUDA_ARCH__ >= 800
template <> __device__ __forceinline__ float min_(float a, float b)
{
    float least;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(least) : "f"(a), "f"(b));
    return least;
}
template <> __device__ __forceinline__ float max_(float a, float b)
{
    float most;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(most) : "f"(a), "f"(b));
    return most;
}
#endif

/* The remainder has the divisor's sign. */
__device__ __forceinline__ float mod_(float a, float b)
{
    const float rest = fmodf(a, b);
    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}
__device__ __forceinline__ double mod_(double a, double b)
{
    const double rest = fmod(a, b);
    return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}
__device__ __forceinline__ long long mod_(long long a, long long b)
{
    if (b == 0 || b == -1)
        return 0;
    const long long rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

__device__ __forceinline__ float pow_(float a, float b) { return powf(a, b); }
__device__ __forceinline__ double pow_(double a, double b) { return pow(a, b); }
__device__ __forceinline__ long long pow_(long long base, long long exponent)
{
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    long long result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

/* Within a few units of float32's last place: enough for results that are stored in 16 bits. */
__device__ __forceinline__ float quick_exp(float x) { return __expf(x); }
__device__ __forceinline__ float quick_logistic(float x)
{
    return __fdividef(1.0f, 1.0f + __expf(-x));
}

} // namespace operators
} // namespace plugrt
