/* The vectorised loops behind each instruction, once per instruction set. */
#ifndef PLUGRT_POINTWISE_TABLE_H
#define PLUGRT_POINTWISE_TABLE_H

#include "pointwise.h"

/* result[i] = operation(a[i], b[i], c[i]); an operand may be the result itself. */
typedef void (*pointwise_operation)(void *result, const void *a, const void *b, const void *c,
    int64_t count);

/* Between memory of some type and a register; `stride` in bytes.  A stride of 0
 * repeats one element. */
typedef void (*pointwise_load)(void *result, const char *memory, int64_t stride, int64_t count);
typedef void (*pointwise_store)(char *memory, int64_t stride, const void *value, int64_t count);

typedef struct {
    pointwise_operation operations[PLUGRT_COMPUTE_COUNT][PLUGRT_OP_COUNT];
    pointwise_load loads[PLUGRT_COMPUTE_COUNT][PLUGRT_STORE_COUNT];
    pointwise_store stores[PLUGRT_COMPUTE_COUNT][PLUGRT_STORE_COUNT];
} pointwise_table;

extern const pointwise_table pointwise_portable;
#if defined(__x86_64__)
extern const pointwise_table pointwise_avx2;
extern const pointwise_table pointwise_avx512;
#endif

/* The best table for this processor. */
const pointwise_table *pointwise_table_here(void);

#endif
