/* Sums, means and maxima. */
#include <math.h>

#include "reduction/strided_reduction.h"

/* Partial results along a contiguous row, so that it can be vectorised. */
#define LANES 16

#define SUM(a, v) ((a) + (v))
/* Takes a NaN, and keeps it. */
#define MAX(a, v) ((v) > (a) || (v) != (v) ? (v) : (a))

/* A block function for elements T that are combined as A. */
#define BLOCK(name, T, A, INITIAL, COMBINE, RESULT)                                           \
    TARGET_CLONES static A name##_row(const char *row, int64_t count, int64_t stride)         \
    {                                                                                         \
        A total = INITIAL;                                                                    \
        int64_t i = 0;                                                                        \
        if (stride == (int64_t)sizeof(T) && count >= LANES) {                                 \
            const T *x = (const T *)row;                                                      \
            A lanes[LANES];                                                                   \
            for (int l = 0; l < LANES; l++)                                                   \
                lanes[l] = INITIAL;                                                           \
            for (; i + LANES <= count; i += LANES)                                            \
                for (int l = 0; l < LANES; l++)                                               \
                    lanes[l] = COMBINE(lanes[l], (A)x[i + l]);                                \
            for (int l = 0; l < LANES; l++)                                                   \
                total = COMBINE(total, lanes[l]);                                             \
        }                                                                                     \
        for (; i < count; i++)                                                                \
            total = COMBINE(total, (A) * (const T *)(row + i * stride));                      \
        return total;                                                                         \
    }                                                                                         \
                                                                                              \
    TARGET_CLONES static void name##_columns(                                                 \
        A *total, const char *base, int64_t columns, int64_t count, int64_t stride)           \
    {                                                                                         \
        for (int64_t i = 0; i < count; i++) {                                                 \
            const T *x = (const T *)(base + i * stride);                                      \
            for (int64_t j = 0; j < columns; j++)                                             \
                total[j] = COMBINE(total[j], (A)x[j]);                                        \
        }                                                                                     \
    }                                                                                         \
                                                                                              \
    static void name(                                                                         \
        const struct reduction *r, const char *input, char *output, int64_t columns)          \
    {                                                                                         \
        int64_t index[MAXIMUM_RANK] = {0};                                                    \
        int64_t elements = product(r->reduced_sizes, r->reduced_rank);                        \
        int64_t count = r->reduced_sizes[r->reduced_rank - 1];                                \
        int64_t stride = r->reduced_strides[r->reduced_rank - 1];                             \
        int64_t column_stride = r->kept_strides[r->kept_rank - 1];                            \
        int64_t output_stride = r->output_strides[r->kept_rank - 1];                          \
        int contiguous = columns > 1 && column_stride == (int64_t)sizeof(T);                  \
        const char *base = input;                                                             \
        A total[COLUMNS];                                                                     \
        for (int64_t j = 0; j < columns; j++)                                                 \
            total[j] = INITIAL;                                                               \
        if (elements > 0)                                                                     \
            do {                                                                              \
                if (contiguous)                                                               \
                    name##_columns(total, base, columns, count, stride);                      \
                else                                                                          \
                    for (int64_t j = 0; j < columns; j++) {                                   \
                        A row = name##_row(base + j * column_stride, count, stride);          \
                        total[j] = COMBINE(total[j], row);                                    \
                    }                                                                         \
            } while (next_row(r, index, &base));                                              \
        for (int64_t j = 0; j < columns; j++)                                                 \
            *(T *)(output + j * output_stride) = (T)RESULT(total[j], elements);               \
    }

#define TOTAL(total, elements) (total)
#define MEAN(total, elements) ((total) / (double)(elements))
#define INTEGER_MEAN(total, elements) ((elements) ? (int64_t)(total) / (elements) : 0)

BLOCK(sum_float32, float, double, 0.0, SUM, TOTAL)
BLOCK(sum_float64, double, double, 0.0, SUM, TOTAL)
BLOCK(sum_int32, int32_t, uint64_t, 0, SUM, TOTAL)
BLOCK(sum_int64, int64_t, uint64_t, 0, SUM, TOTAL)
BLOCK(mean_float32, float, double, 0.0, SUM, MEAN)
BLOCK(mean_float64, double, double, 0.0, SUM, MEAN)
BLOCK(mean_int32, int32_t, uint64_t, 0, SUM, INTEGER_MEAN)
BLOCK(mean_int64, int64_t, uint64_t, 0, SUM, INTEGER_MEAN)
BLOCK(max_float32, float, float, -INFINITY, MAX, TOTAL)
BLOCK(max_float64, double, double, -INFINITY, MAX, TOTAL)
BLOCK(max_int32, int32_t, int32_t, INT32_MIN, MAX, TOTAL)
BLOCK(max_int64, int64_t, int64_t, INT64_MIN, MAX, TOTAL)
BLOCK(max_int8, int8_t, int8_t, INT8_MIN, MAX, TOTAL)
BLOCK(max_uint8, uint8_t, uint8_t, 0, MAX, TOTAL)

LAYER_KERNEL(plugrt_reduce_sum_float32)
{
    return run_reduction(args, call, sum_float32);
}

LAYER_KERNEL(plugrt_reduce_sum_float64)
{
    return run_reduction(args, call, sum_float64);
}

LAYER_KERNEL(plugrt_reduce_sum_int32)
{
    return run_reduction(args, call, sum_int32);
}

LAYER_KERNEL(plugrt_reduce_sum_int64)
{
    return run_reduction(args, call, sum_int64);
}

LAYER_KERNEL(plugrt_reduce_mean_float32)
{
    return run_reduction(args, call, mean_float32);
}

LAYER_KERNEL(plugrt_reduce_mean_float64)
{
    return run_reduction(args, call, mean_float64);
}

LAYER_KERNEL(plugrt_reduce_mean_int32)
{
    return run_reduction(args, call, mean_int32);
}

LAYER_KERNEL(plugrt_reduce_mean_int64)
{
    return run_reduction(args, call, mean_int64);
}

LAYER_KERNEL(plugrt_reduce_max_float32)
{
    return run_reduction(args, call, max_float32);
}

LAYER_KERNEL(plugrt_reduce_max_float64)
{
    return run_reduction(args, call, max_float64);
}

LAYER_KERNEL(plugrt_reduce_max_int32)
{
    return run_reduction(args, call, max_int32);
}

LAYER_KERNEL(plugrt_reduce_max_int64)
{
    return run_reduction(args, call, max_int64);
}

LAYER_KERNEL(plugrt_reduce_max_int8)
{
    return run_reduction(args, call, max_int8);
}

LAYER_KERNEL(plugrt_reduce_max_uint8)
{
    return run_reduction(args, call, max_uint8);
}
