/* NonZero: the indices of elements that are not zero. */
#include "layer_kernel.h"

#define MAXIMUM_RANK 8

struct arguments {
    plugrt_ref input;
    plugrt_ref indices; /* int64 [rank, count] */
    plugrt_ref found;   /* int64: how many columns of `indices` are used */
    plugrt_ref counts;  /* int64 [chunks], scratch */
    uint64_t mask;      /* the bits that make an element differ from zero */
    uint32_t item_size;
    uint32_t rank;
    int64_t chunks;
    int64_t count; /* elements of the input */
    int64_t sizes[MAXIMUM_RANK];
};

static inline uint64_t bits_at(const void *input, uint32_t size, int64_t i)
{
    switch (size) {
    case 1: return ((const uint8_t *)input)[i];
    case 2: return ((const uint16_t *)input)[i];
    case 4: return ((const uint32_t *)input)[i];
    default: return ((const uint64_t *)input)[i];
    }
}

#define COUNT(T)                                                                              \
    do {                                                                                      \
        const T *x = (const T *)input;                                                        \
        for (int64_t i = first; i < last; i++)                                                \
            total += (x[i] & (T)mask) != 0;                                                   \
    } while (0)

TARGET_CLONES static int64_t count_between(
    const void *input, uint32_t size, uint64_t mask, int64_t first, int64_t last)
{
    int64_t total = 0;
    switch (size) {
    case 1: COUNT(uint8_t); break;
    case 2: COUNT(uint16_t); break;
    case 4: COUNT(uint32_t); break;
    default: COUNT(uint64_t);
    }
    return total;
}

static void write_between(const struct arguments *a, const void *input, int64_t *indices,
    int64_t first, int64_t last, int64_t column)
{
    for (int64_t i = first; i < last; i++) {
        if (!(bits_at(input, a->item_size, i) & a->mask))
            continue;
        int64_t rest = i;
        for (int32_t d = (int32_t)a->rank - 1; d >= 0; d--) {
            indices[d * a->count + column] = rest % a->sizes[d];
            rest /= a->sizes[d];
        }
        column++;
    }
}

/* Counts in chunks, adds up, and then every chunk knows where its columns begin. */
LAYER_KERNEL(plugrt_non_zero)
{
    const struct arguments *a = args;
    const void *input = plugrt_address(call, a->input);
    int64_t *indices = plugrt_address(call, a->indices);
    int64_t *counts = plugrt_address(call, a->counts);
    int64_t n = a->count, chunks = a->chunks;
#pragma omp parallel for num_threads(call->thread_count) if (n > 4096)
    for (int64_t c = 0; c < chunks; c++)
        counts[c] = count_between(
            input, a->item_size, a->mask, n * c / chunks, n * (c + 1) / chunks);
    int64_t total = 0;
    for (int64_t c = 0; c < chunks; c++) {
        int64_t mine = counts[c];
        counts[c] = total;
        total += mine;
    }
#pragma omp parallel for num_threads(call->thread_count) if (n > 4096)
    for (int64_t c = 0; c < chunks; c++)
        write_between(a, input, indices, n * c / chunks, n * (c + 1) / chunks, counts[c]);
    *(int64_t *)plugrt_address(call, a->found) = total;
    return 0;
}
