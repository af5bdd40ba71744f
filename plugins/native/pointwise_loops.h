/* The vectorised loops and their table.  Included once per instruction set, with
 * the compiler told which, and POINTWISE_TABLE naming the table.
 */
#include "pointwise_convert.h"
#include "pointwise_table.h"

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* ---- operations ------------------------------------------------------------ */

#define OPERATION(type, name, expression)                                                    \
    static void apply_##name##_##type(void *result, const void *first, const void *second,           \
        const void *third, int64_t count)                                                    \
    {                                                                                        \
        type *y = result;                                                                    \
        const type *left = first, *right = second, *last = third;                            \
        (void)right, (void)last;                                                             \
        INDEPENDENT                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                \
            type a = left[i];                                                                \
            y[i] = (expression);                                                             \
        }                                                                                    \
    }

#define B right[i]
#define C last[i]

#define COMMON_OPERATIONS(type)                                                              \
    OPERATION(type, copy, a)                                                                 \
    OPERATION(type, neg, -a)                                                                 \
    OPERATION(type, not, a == 0)                                                             \
    OPERATION(type, add, a + B)                                                              \
    OPERATION(type, sub, a - B)                                                              \
    OPERATION(type, mul, a *B)                                                               \
    OPERATION(type, lt, a < B)                                                               \
    OPERATION(type, le, a <= B)                                                              \
    OPERATION(type, eq, a == B)                                                              \
    OPERATION(type, and, (a != 0) & (B != 0))                                                \
    OPERATION(type, or, (a != 0) | (B != 0))                                                 \
    OPERATION(type, select, a != 0 ? B : C)

/* NumPy's minimum and maximum: NaN if either is. */
#define FLOATING_OPERATIONS(type, suffix)                                                    \
    OPERATION(type, abs, fabs##suffix(a))                                                    \
    OPERATION(type, sqrt, sqrt##suffix(a))                                                   \
    OPERATION(type, rsqrt, 1 / sqrt##suffix(a))                                              \
    OPERATION(type, floor, floor##suffix(a))                                                 \
    OPERATION(type, ceil, ceil##suffix(a))                                                   \
    OPERATION(type, round, rint##suffix(a))                                                  \
    OPERATION(type, sign, a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a)                           \
    OPERATION(type, div, a / B)                                                              \
    OPERATION(type, pow, pow##suffix(a, B))                                                  \
    OPERATION(type, mod, modulo_##type(a, B))                                                \
    OPERATION(type, min, (a <= B) | (a != a) ? a : B)                                        \
    OPERATION(type, max, (a >= B) | (a != a) ? a : B)                                        \
    OPERATION(type, fma, a *B + C)

/* The remainder with the divisor's sign. */
#define MODULO(type, suffix)                                                                 \
    static inline type modulo_##type(type a, type b)                                         \
    {                                                                                        \
        type r = fmod##suffix(a, b);                                                         \
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;                                     \
    }

MODULO(float, f)
MODULO(double, )

COMMON_OPERATIONS(float)
FLOATING_OPERATIONS(float, f)
OPERATION(float, exp, exp_float(a))
OPERATION(float, log, log_float(a))
OPERATION(float, tanh, tanh_float(a))
OPERATION(float, logistic, logistic_float(a))
OPERATION(float, erf, erf_float(a))

#define TRIGONOMETRIC(name, quarters, library)                                               \
    static void apply_##name##_float(void *result, const void *first, const void *second,            \
        const void *third, int64_t count)                                                    \
    {                                                                                        \
        float *y = result;                                                                   \
        const float *x = first;                                                              \
        (void)second, (void)third;                                                           \
        int beyond = 0;                                                                      \
        for (int64_t i = 0; i < count; i++)                                                  \
            beyond |= !(fabsf(x[i]) <= TRIGONOMETRIC_LIMIT);                                 \
        if (beyond) {                                                                        \
            for (int64_t i = 0; i < count; i++)                                              \
                y[i] = library(x[i]);                                                        \
            return;                                                                          \
        }                                                                                    \
        INDEPENDENT                                                                          \
        for (int64_t i = 0; i < count; i++)                                                  \
            y[i] = sine_float(x[i], quarters);                                               \
    }

TRIGONOMETRIC(sin, 0, sinf)
TRIGONOMETRIC(cos, 1, cosf)

COMMON_OPERATIONS(double)
FLOATING_OPERATIONS(double, )
OPERATION(double, exp, exp(a))
OPERATION(double, log, log(a))
OPERATION(double, tanh, tanh(a))
OPERATION(double, logistic, 1 / (1 + exp(-a)))
OPERATION(double, erf, erf(a))
OPERATION(double, sin, sin(a))
OPERATION(double, cos, cos(a))

/* NumPy: the divisor's sign; 0 for a divisor of 0. */
static inline int64_t modulo_int64_t(int64_t a, int64_t b)
{
    if (b == 0 || b == -1)
        return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Wraps around; an exponent below 0 leaves what an integer can hold of 1 / base. */
static inline int64_t power_int64_t(int64_t base, int64_t exponent)
{
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result *= square;
        square *= square;
    }
    return (int64_t)result;
}

/* Unsigned arithmetic wraps, as NumPy's does; signed overflow would be undefined. */
#define WRAP(operation) (int64_t)((uint64_t)a operation(uint64_t) B)

OPERATION(int64_t, copy, a)
OPERATION(int64_t, neg, (int64_t)(0 - (uint64_t)a))
OPERATION(int64_t, not, a == 0)
OPERATION(int64_t, add, WRAP(+))
OPERATION(int64_t, sub, WRAP(-))
OPERATION(int64_t, mul, WRAP(*))
OPERATION(int64_t, lt, a < B)
OPERATION(int64_t, le, a <= B)
OPERATION(int64_t, eq, a == B)
OPERATION(int64_t, and, (a != 0) & (B != 0))
OPERATION(int64_t, or, (a != 0) | (B != 0))
OPERATION(int64_t, select, a != 0 ? B : C)
OPERATION(int64_t, abs, a < 0 ? (int64_t)(0 - (uint64_t)a) : a)
OPERATION(int64_t, sign, (a > 0) - (a < 0))
OPERATION(int64_t, pow, power_int64_t(a, B))
OPERATION(int64_t, mod, modulo_int64_t(a, B))
OPERATION(int64_t, min, a < B ? a : B)
OPERATION(int64_t, max, a > B ? a : B)

#undef B
#undef C

/* ---- loads and stores ------------------------------------------------------- */

/* A stride that the compiler knows lets it vectorise. */
#define LOAD(type, memory_type, conversion)                                                  \
    static void load_##memory_type##_as_##type(void *result, const char *memory,             \
        int64_t stride, int64_t count)                                                       \
    {                                                                                        \
        type *y = result;                                                                    \
        if (stride == (int64_t)sizeof(memory_type)) {                                        \
            const memory_type *x = (const memory_type *)memory;                              \
            INDEPENDENT                                                                      \
            for (int64_t i = 0; i < count; i++) {                                            \
                memory_type m = x[i];                                                        \
                y[i] = (type)(conversion);                                                   \
            }                                                                                \
        } else if (stride == 0) {                                                            \
            memory_type m = *(const memory_type *)memory;                                    \
            type value = (type)(conversion);                                                 \
            for (int64_t i = 0; i < count; i++)                                              \
                y[i] = value;                                                                \
        } else {                                                                             \
            for (int64_t i = 0; i < count; i++) {                                            \
                memory_type m = *(const memory_type *)(memory + i * stride);                 \
                y[i] = (type)(conversion);                                                   \
            }                                                                                \
        }                                                                                    \
    }

#define STORE(type, memory_type, conversion)                                                 \
    static void store_##memory_type##_from_##type(char *memory, int64_t stride,              \
        const void *value, int64_t count)                                                    \
    {                                                                                        \
        const type *x = value;                                                               \
        if (stride == (int64_t)sizeof(memory_type)) {                                        \
            memory_type *y = (memory_type *)memory;                                          \
            INDEPENDENT                                                                      \
            for (int64_t i = 0; i < count; i++) {                                            \
                type r = x[i];                                                               \
                y[i] = conversion;                                                           \
            }                                                                                \
        } else {                                                                             \
            for (int64_t i = 0; i < count; i++) {                                            \
                type r = x[i];                                                               \
                *(memory_type *)(memory + i * stride) = conversion;                          \
            }                                                                                \
        }                                                                                    \
    }

#define INTEGER_LOADS(type)                                                                  \
    LOAD(type, int8_t, m)                                                                    \
    LOAD(type, uint8_t, m)                                                                   \
    LOAD(type, int16_t, m)                                                                   \
    LOAD(type, uint16_t, m)                                                                  \
    LOAD(type, int32_t, m)                                                                   \
    LOAD(type, uint32_t, m)                                                                  \
    LOAD(type, int64_t, m)                                                                   \
    LOAD(type, uint64_t, m)                                                                  \
    LOAD(type, boolean, m.byte != 0)

#define FLOATING_LOADS(type)                                                                 \
    LOAD(type, float, m)                                                                     \
    LOAD(type, double, m)                                                                    \
    LOAD(type, float16, float_from_half(m))                                                  \
    LOAD(type, bfloat16, float_from_bfloat(m))

#define FLOATING_STORES(type)                                                                \
    STORE(type, float, (float)r)                                                             \
    STORE(type, double, (double)r)                                                           \
    STORE(type, float16, half_from_float((float)r))                                          \
    STORE(type, bfloat16, bfloat_from_float((float)r))                                       \
    STORE(type, int8_t, int8_t_from_##type(r))                                               \
    STORE(type, uint8_t, uint8_t_from_##type(r))                                             \
    STORE(type, int16_t, int16_t_from_##type(r))                                             \
    STORE(type, uint16_t, uint16_t_from_##type(r))                                           \
    STORE(type, int32_t, int32_t_from_##type(r))                                             \
    STORE(type, uint32_t, uint32_t_from_##type(r))                                           \
    STORE(type, int64_t, int64_t_from_##type(r))                                             \
    STORE(type, uint64_t, uint64_t_from_##type(r))                                           \
    STORE(type, boolean, (boolean) { r != 0 })

FLOATING_LOADS(float)
INTEGER_LOADS(float)
FLOATING_STORES(float)
FLOATING_LOADS(double)
INTEGER_LOADS(double)
FLOATING_STORES(double)
INTEGER_LOADS(int64_t)
STORE(int64_t, int8_t, (int8_t)r)
STORE(int64_t, uint8_t, (uint8_t)r)
STORE(int64_t, int16_t, (int16_t)r)
STORE(int64_t, uint16_t, (uint16_t)r)
STORE(int64_t, int32_t, (int32_t)r)
STORE(int64_t, uint32_t, (uint32_t)r)
STORE(int64_t, int64_t, r)
STORE(int64_t, uint64_t, (uint64_t)r)
STORE(int64_t, boolean, (boolean) { r != 0 })

/* ---- the table ---------------------------------------------------------------- */

#define COMMON_ENTRIES(type)                                                                 \
    [PLUGRT_OP_COPY] = apply_copy_##type, [PLUGRT_OP_NEG] = apply_neg_##type,                            \
    [PLUGRT_OP_ABS] = apply_abs_##type, [PLUGRT_OP_SIGN] = apply_sign_##type,                            \
    [PLUGRT_OP_NOT] = apply_not_##type, [PLUGRT_OP_ADD] = apply_add_##type,                              \
    [PLUGRT_OP_SUB] = apply_sub_##type, [PLUGRT_OP_MUL] = apply_mul_##type,                              \
    [PLUGRT_OP_POW] = apply_pow_##type, [PLUGRT_OP_MOD] = apply_mod_##type,                              \
    [PLUGRT_OP_MIN] = apply_min_##type, [PLUGRT_OP_MAX] = apply_max_##type,                              \
    [PLUGRT_OP_LT] = apply_lt_##type, [PLUGRT_OP_LE] = apply_le_##type, [PLUGRT_OP_EQ] = apply_eq_##type,      \
    [PLUGRT_OP_AND] = apply_and_##type, [PLUGRT_OP_OR] = apply_or_##type,                                \
    [PLUGRT_OP_SELECT] = apply_select_##type

#define FLOATING_ENTRIES(type)                                                               \
    COMMON_ENTRIES(type), [PLUGRT_OP_EXP] = apply_exp_##type, [PLUGRT_OP_LOG] = apply_log_##type,        \
        [PLUGRT_OP_SQRT] = apply_sqrt_##type, [PLUGRT_OP_RSQRT] = apply_rsqrt_##type,                    \
        [PLUGRT_OP_TANH] = apply_tanh_##type, [PLUGRT_OP_LOGISTIC] = apply_logistic_##type,              \
        [PLUGRT_OP_ERF] = apply_erf_##type, [PLUGRT_OP_SIN] = apply_sin_##type,                          \
        [PLUGRT_OP_COS] = apply_cos_##type, [PLUGRT_OP_FLOOR] = apply_floor_##type,                      \
        [PLUGRT_OP_CEIL] = apply_ceil_##type, [PLUGRT_OP_ROUND] = apply_round_##type,                    \
        [PLUGRT_OP_DIV] = apply_div_##type, [PLUGRT_OP_FMA] = apply_fma_##type

#define INTEGER_MEMORY(prefix, infix, type)                                                  \
    [PLUGRT_STORE_INT8] = prefix##int8_t##infix##type,                                       \
    [PLUGRT_STORE_UINT8] = prefix##uint8_t##infix##type,                                     \
    [PLUGRT_STORE_INT16] = prefix##int16_t##infix##type,                                     \
    [PLUGRT_STORE_UINT16] = prefix##uint16_t##infix##type,                                   \
    [PLUGRT_STORE_INT32] = prefix##int32_t##infix##type,                                     \
    [PLUGRT_STORE_UINT32] = prefix##uint32_t##infix##type,                                   \
    [PLUGRT_STORE_INT64] = prefix##int64_t##infix##type,                                     \
    [PLUGRT_STORE_UINT64] = prefix##uint64_t##infix##type,                                   \
    [PLUGRT_STORE_BOOL] = prefix##boolean##infix##type

#define ALL_MEMORY(prefix, infix, type)                                                      \
    INTEGER_MEMORY(prefix, infix, type), [PLUGRT_STORE_FLOAT32] = prefix##float##infix##type, \
        [PLUGRT_STORE_FLOAT64] = prefix##double##infix##type,                                \
        [PLUGRT_STORE_FLOAT16] = prefix##float16##infix##type,                               \
        [PLUGRT_STORE_BFLOAT16] = prefix##bfloat16##infix##type

const pointwise_table POINTWISE_TABLE = {
    .operations = {
        [PLUGRT_COMPUTE_FLOAT32] = { FLOATING_ENTRIES(float) },
        [PLUGRT_COMPUTE_FLOAT64] = { FLOATING_ENTRIES(double) },
        [PLUGRT_COMPUTE_INT64] = { COMMON_ENTRIES(int64_t) },
    },
    .loads = {
        [PLUGRT_COMPUTE_FLOAT32] = { ALL_MEMORY(load_, _as_, float) },
        [PLUGRT_COMPUTE_FLOAT64] = { ALL_MEMORY(load_, _as_, double) },
        [PLUGRT_COMPUTE_INT64] = { INTEGER_MEMORY(load_, _as_, int64_t) },
    },
    .stores = {
        [PLUGRT_COMPUTE_FLOAT32] = { ALL_MEMORY(store_, _from_, float) },
        [PLUGRT_COMPUTE_FLOAT64] = { ALL_MEMORY(store_, _from_, double) },
        [PLUGRT_COMPUTE_INT64] = { INTEGER_MEMORY(store_, _from_, int64_t) },
    },
};
