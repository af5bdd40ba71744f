#include "cache_state.h"

enum { LINE = 64 };

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static int has_clflushopt(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 23 & 1);
}

__attribute__((target("clflushopt"))) static void evict_unordered(char *from, char *to)
{
    for (char *line = from; line < to; line += LINE)
        _mm_clflushopt(line);
}

static void evict_lines(char *from, char *to)
{
    if (has_clflushopt())
        evict_unordered(from, to);
    else
        for (char *line = from; line < to; line += LINE)
            _mm_clflush(line);
    _mm_mfence();
}
#elif defined(__aarch64__)
static void evict_lines(char *from, char *to)
{
    for (char *line = from; line < to; line += LINE)
        __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
    __asm__ volatile("dsb ish" ::: "memory");
}
#else
static void evict_lines(char *from, char *to)
{
    (void)from;
    (void)to;
}
#endif

/* Part `index` of `count` of a span, cut at lines. */
static plugrt_span part_of(const plugrt_span *span, int index, int count)
{
    uint64_t lines = (span->bytes + LINE - 1) / LINE;
    uint64_t first = lines * (uint64_t)index / (uint64_t)count * LINE;
    uint64_t last = lines * (uint64_t)(index + 1) / (uint64_t)count * LINE;
    if (last > span->bytes)
        last = span->bytes;
    return (plugrt_span){(char *)span->start + first, last > first ? last - first : 0};
}

static void read_lines(const char *start, uint64_t bytes, uint64_t step)
{
    unsigned char sum = 0;
    for (uint64_t at = 0; at < bytes; at += step)
        sum = (unsigned char)(sum + *(const volatile unsigned char *)(start + at));
    (void)sum;
}

static void evict_part(const plugrt_cache_state *state, int index, int count)
{
    for (uint32_t k = 0; state->evict && k < state->weight_count; k++) {
        plugrt_span part = part_of(&state->weights[k], index, count);
        evict_lines(part.start, (char *)part.start + part.bytes);
    }
    read_lines(state->sweep, state->sweep_bytes, state->sweep_step);
}

static void read_part(const plugrt_cache_state *state, int index, int count)
{
    for (uint32_t k = 0; k < state->activation_count; k++) {
        plugrt_span part = part_of(&state->activations[k], index, count);
        read_lines(part.start, part.bytes, LINE);
    }
}

void plugrt_prepare_caches(const plugrt_cache_state *state, int thread_count)
{
#pragma omp parallel for num_threads(thread_count) schedule(static, 1)
    for (int index = 0; index < thread_count; index++)
        evict_part(state, index, thread_count);
#pragma omp parallel for num_threads(thread_count) schedule(static, 1)
    for (int index = 0; index < thread_count; index++)
        read_part(state, index, thread_count);
}
