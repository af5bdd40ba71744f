/* Where the first maximum lies. */
#include "reduction/strided_reduction.h"

/* A block function for elements T.  A NaN counts as larger than every number, as in NumPy. */
#define BLOCK(name, T)                                                                        \
    TARGET_CLONES static void name##_columns(T *best, int64_t *where, const char *base,       \
        int64_t columns, int64_t column_stride, int64_t count, int64_t stride)                \
    {                                                                                         \
        for (int64_t i = 0; i < count; i++)                                                   \
            for (int64_t j = 0; j < columns; j++) {                                           \
                T x = *(const T *)(base + i * stride + j * column_stride);                    \
                int better = x > best[j] || (x != x && best[j] == best[j]);                   \
                best[j] = better ? x : best[j];                                               \
                where[j] = better ? i : where[j];                                             \
            }                                                                                 \
    }                                                                                         \
                                                                                              \
    static void name(                                                                         \
        const struct reduction *r, const char *input, char *output, int64_t columns)          \
    {                                                                                         \
        int64_t column_stride = r->kept_strides[r->kept_rank - 1];                            \
        int64_t output_stride = r->output_strides[r->kept_rank - 1];                          \
        T best[COLUMNS];                                                                      \
        int64_t where[COLUMNS] = {0};                                                         \
        for (int64_t j = 0; j < columns; j++)                                                 \
            best[j] = *(const T *)(input + j * column_stride);                                \
        name##_columns(best, where, input, columns, column_stride, r->reduced_sizes[0],       \
            r->reduced_strides[0]);                                                           \
        for (int64_t j = 0; j < columns; j++)                                                 \
            *(int64_t *)(output + j * output_stride) = where[j];                              \
    }

BLOCK(arg_max_float32, float)
BLOCK(arg_max_float64, double)
BLOCK(arg_max_int32, int32_t)
BLOCK(arg_max_int64, int64_t)
BLOCK(arg_max_int8, int8_t)
BLOCK(arg_max_uint8, uint8_t)

LAYER_KERNEL(plugrt_arg_max_float32)
{
    return run_reduction(args, call, arg_max_float32);
}

LAYER_KERNEL(plugrt_arg_max_float64)
{
    return run_reduction(args, call, arg_max_float64);
}

LAYER_KERNEL(plugrt_arg_max_int32)
{
    return run_reduction(args, call, arg_max_int32);
}

LAYER_KERNEL(plugrt_arg_max_int64)
{
    return run_reduction(args, call, arg_max_int64);
}

LAYER_KERNEL(plugrt_arg_max_int8)
{
    return run_reduction(args, call, arg_max_int8);
}

LAYER_KERNEL(plugrt_arg_max_uint8)
{
    return run_reduction(args, call, arg_max_uint8);
}
