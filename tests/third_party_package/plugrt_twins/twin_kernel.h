/* What every C file here includes: the kernel ABI and two macros.
 * build_kernels.py finds kernels by the lines that begin with TWIN_KERNEL. */
#ifndef TWIN_KERNEL_H
#define TWIN_KERNEL_H

#include <plugrt_kernel.h>

#define TWIN_KERNEL(name)                                                                    \
    int name(const void *args, const plugrt_call *call);                                     \
    int name(const void *args, const plugrt_call *call)

/* Compiled for AVX-512, AVX2 and the baseline, chosen at load time by what the processor can do
 * ("arch=haswell" would mean that very processor).  OpenMP regions are not cloned with the
 * function around them: clone what a single thread runs. */
#if defined(__x86_64__) && defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__clang__)
#define TWIN_CLONES                                                                          \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TWIN_CLONES
#endif

#endif
