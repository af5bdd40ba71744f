/* Functions of one 8-bit value, by table. */
#include "pointwise.h"

#include <omp.h>
#include <stdio.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* The table fits four registers; each permutation looks up 64 values in half of it. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static void look_up_vbmi(
    uint8_t *output, const uint8_t *input, const uint8_t *table, int64_t count)
{
    __m512i first = _mm512_loadu_si512(table), second = _mm512_loadu_si512(table + 64);
    __m512i third = _mm512_loadu_si512(table + 128), fourth = _mm512_loadu_si512(table + 192);
    for (int64_t i = 0; i < count; i += 64) {
        __mmask64 valid = count - i < 64 ? ~0ull >> (64 - (count - i)) : ~0ull;
        __m512i index = _mm512_maskz_loadu_epi8(valid, input + i);
        __m512i low = _mm512_permutex2var_epi8(first, index, second);
        __m512i high = _mm512_permutex2var_epi8(third, index, fourth);
        __m512i value = _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
        _mm512_mask_storeu_epi8(output + i, valid, value);
    }
}
#endif

static void look_up(
    uint8_t *output, const uint8_t *input, const uint8_t *table, int64_t count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw")) {
        look_up_vbmi(output, input, table, count);
        return;
    }
#endif
    for (int64_t i = 0; i < count; i++)
        output[i] = table[input[i]];
}

int plugrt_pointwise_lookup(const void *args, const plugrt_call *call)
{
    const plugrt_pointwise_lookup_arguments *lookup = args;
    if (lookup->input.slot >= call->slot_count || lookup->output.slot >= call->slot_count) {
        snprintf(call->message, call->message_capacity,
            "a look-up needs slots %u and %u of a call with %u slots",
            (unsigned)lookup->input.slot, (unsigned)lookup->output.slot,
            (unsigned)call->slot_count);
        return 1;
    }
    const uint8_t *input = plugrt_address(call, lookup->input);
    uint8_t *output = plugrt_address(call, lookup->output);
    if (!lookup->parallel || call->thread_count <= 1) {
        look_up(output, input, lookup->table, lookup->count);
        return 0;
    }
#pragma omp parallel num_threads(call->thread_count)
    {
        int64_t team = omp_get_num_threads(), member = omp_get_thread_num();
        int64_t first = lookup->count * member / team;
        int64_t last = lookup->count * (member + 1) / team;
        look_up(output + first, input + first, lookup->table, last - first);
    }
    return 0;
}
