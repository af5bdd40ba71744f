/* Transposition where one side has two to four items.  With the count known, the
 * compiler turns these loops into shuffles.
 */
#include "interleave.h"

#if defined(__x86_64__) && defined(__gnu_linux__)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

#define BOTH_WAYS(type, count)                                                               \
    VECTORISED static void deinterleave_##type##_##count(                                    \
        char *planes, int64_t stride, const char *from, int64_t length)                      \
    {                                                                                        \
        const type *restrict items = (const type *)from;                                     \
        type *restrict first = (type *)planes;                                               \
        type *restrict second = (type *)(planes + stride);                                   \
        type *restrict third = (type *)(planes + 2 * stride);                                \
        type *restrict fourth = (type *)(planes + 3 * stride);                               \
        for (int64_t i = 0; i < length; i++) {                                               \
            first[i] = items[i * count];                                                     \
            second[i] = items[i * count + 1];                                                \
            if (count > 2)                                                                   \
                third[i] = items[i * count + 2];                                             \
            if (count > 3)                                                                   \
                fourth[i] = items[i * count + 3];                                            \
        }                                                                                    \
    }                                                                                        \
    VECTORISED static void interleave_##type##_##count(                                      \
        char *to, const char *planes, int64_t stride, int64_t length)                        \
    {                                                                                        \
        type *restrict items = (type *)to;                                                   \
        const type *restrict first = (const type *)planes;                                   \
        const type *restrict second = (const type *)(planes + stride);                       \
        const type *restrict third = (const type *)(planes + 2 * stride);                    \
        const type *restrict fourth = (const type *)(planes + 3 * stride);                   \
        for (int64_t i = 0; i < length; i++) {                                               \
            items[i * count] = first[i];                                                     \
            items[i * count + 1] = second[i];                                                \
            if (count > 2)                                                                   \
                items[i * count + 2] = third[i];                                             \
            if (count > 3)                                                                   \
                items[i * count + 3] = fourth[i];                                            \
        }                                                                                    \
    }

#define ALL_COUNTS(type)                                                                     \
    BOTH_WAYS(type, 2)                                                                       \
    BOTH_WAYS(type, 3)                                                                       \
    BOTH_WAYS(type, 4)

ALL_COUNTS(uint8_t)
ALL_COUNTS(uint16_t)
ALL_COUNTS(uint32_t)

static int table_row(int64_t count, int item_size)
{
    if (count < 2 || count > 4)
        return -1;
    return item_size == 1 ? 0 : item_size == 2 ? 1 : item_size == 4 ? 2 : -1;
}

#define ROW(direction, type)                                                                 \
    {                                                                                        \
        direction##_##type##_2, direction##_##type##_3, direction##_##type##_4               \
    }

int deinterleave(char *planes, int64_t plane_stride, const char *items, int64_t length,
    int64_t count, int item_size)
{
    static void (*const table[3][3])(char *, int64_t, const char *, int64_t)
        = { ROW(deinterleave, uint8_t), ROW(deinterleave, uint16_t),
              ROW(deinterleave, uint32_t) };
    int row = table_row(count, item_size);
    if (row >= 0)
        table[row][count - 2](planes, plane_stride, items, length);
    return row >= 0;
}

int interleave(char *items, const char *planes, int64_t plane_stride, int64_t length,
    int64_t count, int item_size)
{
    static void (*const table[3][3])(char *, const char *, int64_t, int64_t)
        = { ROW(interleave, uint8_t), ROW(interleave, uint16_t), ROW(interleave, uint32_t) };
    int row = table_row(count, item_size);
    if (row >= 0)
        table[row][count - 2](items, planes, plane_stride, length);
    return row >= 0;
}
