/* Choosing among the instruction sets that the loops were compiled for. */
#include "pointwise_table.h"

#include <string.h>

static const pointwise_table *table_named(const char *name)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            ? &pointwise_avx512
            : NULL;
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            ? &pointwise_avx2
            : NULL;
#endif
    return strcmp(name, "portable") == 0 ? &pointwise_portable : NULL;
}

static const pointwise_table *best_table(void)
{
    const pointwise_table *table = table_named("avx512");
    if (table == NULL)
        table = table_named("avx2");
    return table != NULL ? table : &pointwise_portable;
}

static const pointwise_table *chosen; /* NULL until first needed */

const pointwise_table *pointwise_table_here(void)
{
    const pointwise_table *table = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (table == NULL) {
        table = best_table();
        __atomic_store_n(&chosen, table, __ATOMIC_RELAXED);
    }
    return table;
}

int plugrt_pointwise_choose(const char *instruction_set)
{
    const pointwise_table *table
        = instruction_set[0] == '\0' ? best_table() : table_named(instruction_set);
    if (table == NULL)
        return 0;
    __atomic_store_n(&chosen, table, __ATOMIC_RELAXED);
    return 1;
}
