/* The OpenMP threads that kernels share, and what the processor can do. */
#include "threads.h"

#include <omp.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };

static int flushes(void)
{
    const unsigned both = FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
    return (_mm_getcsr() & both) == both;
}

int plugrt_flush_denormals(int enable)
{
    const unsigned both = FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
    int before = flushes();
    _mm_setcsr(enable ? _mm_getcsr() | both : _mm_getcsr() & ~both);
    return before;
}
#elif defined(__aarch64__)
static const unsigned long FLUSH_TO_ZERO = 1ul << 24;

static unsigned long control(void)
{
    unsigned long value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}

static int flushes(void)
{
    return (control() & FLUSH_TO_ZERO) != 0;
}

int plugrt_flush_denormals(int enable)
{
    int before = flushes();
    unsigned long value = enable ? control() | FLUSH_TO_ZERO : control() & ~FLUSH_TO_ZERO;
    __asm__ volatile("msr fpcr, %0" : : "r"(value));
    return before;
}
#else
static int flushes(void) { return 0; }
int plugrt_flush_denormals(int enable) { (void)enable; return 0; }
#endif

/* libgomp keeps a pool of workers per calling thread, so the mark does too. */
static _Thread_local int primed_for;

void plugrt_prime_threads(int thread_count)
{
    plugrt_flush_denormals(1);
    if (primed_for == thread_count)
        return;
#pragma omp parallel num_threads(thread_count)
    plugrt_flush_denormals(1);
    primed_for = thread_count;
}

int plugrt_count_flushing(int thread_count)
{
    int count = 0;
#pragma omp parallel num_threads(thread_count) reduction(+ : count)
    count += flushes();
    return count;
}

int plugrt_get_num_threads(void)
{
    return omp_get_max_threads();
}

void plugrt_set_num_threads(int thread_count)
{
    omp_set_num_threads(thread_count);
}

int plugrt_available_processors(void)
{
    return omp_get_num_procs();
}

#if defined(__x86_64__)
/* __builtin_cpu_supports of common compilers does not know AMX. */
static int supports_amx(int bit)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> bit & 1);
}

int plugrt_cpu_supports(const char *feature)
{
    enum { AMX_BF16 = 22, AMX_INT8 = 25 };
    __builtin_cpu_init();
#define FEATURE(name)                                                                        \
    if (strcmp(feature, name) == 0)                                                          \
        return __builtin_cpu_supports(name) != 0
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512bw");
    FEATURE("avx512vl");
    FEATURE("avx512vnni");
    FEATURE("avx512bf16");
#undef FEATURE
    if (strcmp(feature, "amx_bf16") == 0)
        return supports_amx(AMX_BF16);
    if (strcmp(feature, "amx_int8") == 0)
        return supports_amx(AMX_INT8);
    return -1;
}
#else
int plugrt_cpu_supports(const char *feature)
{
    (void)feature;
    return 0;
}
#endif
