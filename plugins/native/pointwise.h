/* Scalar expressions over tensors: a register program, interpreted block by block.
 *
 * Python compiles an expression and collapses the tensors' dimensions (see
 * pointwise.py); what is left are loops over outer dimensions, and inside them
 * a plane of rows and columns that is cut into blocks small enough for the
 * first-level cache.  Each instruction then is one vectorised loop.
 *
 * This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_POINTWISE_H
#define PLUGRT_POINTWISE_H

#include "plugrt_kernel.h"

/* The type registers hold. */
enum plugrt_pointwise_compute {
    PLUGRT_COMPUTE_FLOAT32,
    PLUGRT_COMPUTE_FLOAT64,
    PLUGRT_COMPUTE_INT64,
    PLUGRT_COMPUTE_COUNT
};

/* Element types in memory. */
enum plugrt_pointwise_storage {
    PLUGRT_STORE_FLOAT32,
    PLUGRT_STORE_FLOAT64,
    PLUGRT_STORE_FLOAT16,
    PLUGRT_STORE_BFLOAT16,
    PLUGRT_STORE_INT8,
    PLUGRT_STORE_UINT8,
    PLUGRT_STORE_INT16,
    PLUGRT_STORE_UINT16,
    PLUGRT_STORE_INT32,
    PLUGRT_STORE_UINT32,
    PLUGRT_STORE_INT64,
    PLUGRT_STORE_UINT64,
    PLUGRT_STORE_BOOL,
    PLUGRT_STORE_COUNT
};

enum plugrt_pointwise_operator {
    PLUGRT_OP_COPY,
    PLUGRT_OP_NEG,
    PLUGRT_OP_ABS,
    PLUGRT_OP_EXP,
    PLUGRT_OP_LOG,
    PLUGRT_OP_SQRT,
    PLUGRT_OP_RSQRT,
    PLUGRT_OP_TANH,
    PLUGRT_OP_LOGISTIC,
    PLUGRT_OP_ERF,
    PLUGRT_OP_SIN,
    PLUGRT_OP_COS,
    PLUGRT_OP_FLOOR,
    PLUGRT_OP_CEIL,
    PLUGRT_OP_ROUND,
    PLUGRT_OP_SIGN,
    PLUGRT_OP_NOT,
    PLUGRT_OP_ADD,
    PLUGRT_OP_SUB,
    PLUGRT_OP_MUL,
    PLUGRT_OP_DIV,
    PLUGRT_OP_POW,
    PLUGRT_OP_MOD,
    PLUGRT_OP_MIN,
    PLUGRT_OP_MAX,
    PLUGRT_OP_LT,
    PLUGRT_OP_LE,
    PLUGRT_OP_EQ,
    PLUGRT_OP_AND,
    PLUGRT_OP_OR,
    PLUGRT_OP_SELECT,
    PLUGRT_OP_FMA,
    PLUGRT_OP_COUNT
};

enum plugrt_pointwise_limits {
    PLUGRT_POINTWISE_REGISTER_BYTES = 32768,
    PLUGRT_POINTWISE_MAX_OPERANDS = 32,
    PLUGRT_POINTWISE_MAX_REGISTERS = 128,
    PLUGRT_POINTWISE_MAX_OUTER = 8
};

typedef struct {
    uint16_t operation;
    uint16_t result;
    uint16_t a;
    uint16_t b;
    uint16_t c;
} plugrt_pointwise_instruction;

typedef struct {
    int32_t reg;
    int32_t reserved;
    double real;     /* for the floating-point compute types */
    int64_t integer; /* for int64 */
} plugrt_pointwise_constant;

/* An input, or the output, which comes last.  Strides are in bytes. */
typedef struct {
    plugrt_ref ref;
    int32_t storage;
    int32_t reg;
    int64_t row_stride;
    int64_t column_stride;
    int64_t outer_strides[8];
} plugrt_pointwise_operand;

/* The argument block.  Behind it lie `operand_count` operands, then
 * `constant_count` constants, then `instruction_count` instructions. */
typedef struct {
    int32_t compute;
    int32_t operand_count;
    int32_t constant_count;
    int32_t instruction_count;
    int32_t register_count;
    int32_t block;      /* elements of a register; fits PLUGRT_POINTWISE_REGISTER_BYTES */
    int32_t parallel;   /* whether there is enough work to wake other threads */
    int32_t outer_rank;
    int64_t outer_sizes[8];
    int64_t rows;
    int64_t columns;
} plugrt_pointwise_program;

/* The kernel; `args` is a plugrt_pointwise_program and what lies behind it. */
int plugrt_pointwise(const void *args, const plugrt_call *call);

/* Makes passes use the loops for "avx512", "avx2" or "portable" from now on, or
 * with "" the best this processor has.  Returns 0 where it lacks what is asked;
 * then nothing changes.  For comparisons; not while passes run. */
int plugrt_pointwise_choose(const char *instruction_set);

/* A function of one 8-bit value as a table of 256, applied to `count` values. */
typedef struct {
    plugrt_ref input;
    plugrt_ref output;
    int64_t count;
    int32_t parallel;
    int32_t reserved;
    uint8_t table[256];
} plugrt_pointwise_lookup_arguments;

int plugrt_pointwise_lookup(const void *args, const plugrt_call *call);

#endif
