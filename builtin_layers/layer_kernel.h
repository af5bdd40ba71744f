/* What every C kernel of a built-in layer includes.
 *
 *     struct arguments { plugrt_ref input, output; int64_t count; };
 *
 *     LAYER_KERNEL(plugrt_example_float32)
 *     {
 *         const struct arguments *a = args;
 *         const float *input = plugrt_address(call, a->input);
 *         ...
 *         return 0;
 *     }
 *
 * build_kernels.py collects every file `builtin_layers/<layer>/<name>.c` and, from the lines
 * that begin with LAYER_KERNEL, the kernels' names.  Python asks for one by
 * `kernels.kernel("plugrt_example_float32", "TTq")`.
 */
#ifndef PLUGRT_LAYER_KERNEL_H
#define PLUGRT_LAYER_KERNEL_H

#include "plugrt_kernel.h"

/* Opens the definition of a kernel; `args` and `call` are its parameters. */
#define LAYER_KERNEL(name)                                                                   \
    int name(const void *args, const plugrt_call *call);                                     \
    int name(const void *args, const plugrt_call *call)

/* Compiles a function for AVX-512, AVX2 and the baseline, and picks one when it is loaded.  Put
 * it on the function that does the work of one thread: the body of an OpenMP region is not
 * cloned with the function around it.  The architectures are levels, not processors: with
 * "arch=haswell" GCC asks whether this is a Haswell, and every other processor gets the baseline. */
#if defined(__x86_64__) && defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__clang__)
#define TARGET_CLONES                                                                        \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TARGET_CLONES
#endif

/* The newest instruction sets that kernels may use, all unless somebody compares them. */
enum plugrt_instruction_set { PLUGRT_PORTABLE, PLUGRT_AVX2, PLUGRT_AVX512, PLUGRT_AVX512_BF16 };
extern int plugrt_instruction_sets;

/* One of name_portable, name_avx2 and name_avx512, the best for this processor: for code with
 * vector types, which are lowered for the instruction set of the file that they stand in. Such a
 * file begins with `#pragma GCC target(...)`; see convolution/direct_avx2.c. */
#if defined(__x86_64__)
#define BEST_OF(name)                                                                        \
    (plugrt_has_avx512() ? name##_avx512 : plugrt_has_avx2() ? name##_avx2 : name##_portable)

/* As BEST_OF, with name_avx512_bf16, for AVX-512 that multiplies and makes bfloat16, before the
 * others. */
#define BEST_WITH_BF16(name) (plugrt_has_avx512_bf16() ? name##_avx512_bf16 : BEST_OF(name))

static inline int plugrt_has_avx512(void)
{
    __builtin_cpu_init();
    return plugrt_instruction_sets >= PLUGRT_AVX512 && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

static inline int plugrt_has_avx512_bf16(void)
{
    return plugrt_instruction_sets >= PLUGRT_AVX512_BF16 && plugrt_has_avx512()
        && __builtin_cpu_supports("avx512bf16");
}

static inline int plugrt_has_avx2(void)
{
    __builtin_cpu_init();
    return plugrt_instruction_sets >= PLUGRT_AVX2 && __builtin_cpu_supports("avx2")
        && __builtin_cpu_supports("fma");
}
#else
#define BEST_OF(name) name##_portable
#define BEST_WITH_BF16(name) name##_portable
#endif

#endif
