/* Functions with vector types in variants for each instruction set.  GCC lowers such types for the
 * function that they stand in, before it inlines that into another, and so they are written in
 * templates, included behind a `#pragma GCC target` for each instruction set. */
#ifndef TWIN_INSTRUCTION_SETS_H
#define TWIN_INSTRUCTION_SETS_H


/* What this processor runs best of a name's variants, and their declaration. */
#if defined(__x86_64__)
#define BEST(name)                                                                           \
    (has_avx512() ? name##_avx512 : has_avx2() ? name##_avx2 : name##_baseline)
#define DECLARE_VARIANTS(type, name) type name##_baseline, name##_avx2, name##_avx512

static inline int has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl");
}

static inline int has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define BEST(name) name##_baseline
#define DECLARE_VARIANTS(type, name) type name##_baseline
#endif

#endif
