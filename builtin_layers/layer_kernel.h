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
 * cloned with the function around it. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define TARGET_CLONES                                                                        \
    __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define TARGET_CLONES
#endif

#endif
