/* Chunks are taken in order by whichever thread is free. Only the calling thread talks to the
   driver when sending: the GPU's context is current there. */
#include "host_copies.h"

#include <stdatomic.h>
#include <string.h>

enum { MOST_CHUNKS = 4096 };

static uint64_t chunk_count(uint64_t nbytes, uint64_t *chunk)
{
    while ((nbytes + *chunk - 1) / *chunk > MOST_CHUNKS)
        *chunk *= 2;
    return (nbytes + *chunk - 1) / *chunk;
}

static uint64_t length_of(uint64_t index, uint64_t nbytes, uint64_t chunk)
{
    uint64_t rest = nbytes - index * chunk;
    return rest < chunk ? rest : chunk;
}

static void let_others_run(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

int plugrt_send_chunks(const char *source, char *staged, uint64_t target, uint64_t nbytes,
                       uint64_t chunk, int threads, void *send, void *stream)
{
    uint64_t count = chunk_count(nbytes, &chunk), sent = 0;
    plugrt_send put = (plugrt_send)send;
    atomic_uchar copied[MOST_CHUNKS];
    atomic_uint_fast64_t next = 0;
    int status = 0;

    for (uint64_t k = 0; k < count; k++)
        atomic_init(&copied[k], 0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int is_caller = 0;
#pragma omp master
        is_caller = 1;
        for (;;) {
            uint64_t index = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
            if (index < count) {
                memcpy(staged + index * chunk, source + index * chunk,
                       length_of(index, nbytes, chunk));
                atomic_store_explicit(&copied[index], 1, memory_order_release);
            }
            while (is_caller && sent < count
                   && atomic_load_explicit(&copied[sent], memory_order_acquire)) {
                if (status == 0)
                    status = put(target + sent * chunk, staged + sent * chunk,
                                 length_of(sent, nbytes, chunk), stream);
                sent++;
            }
            if (index >= count && (!is_caller || sent == count))
                break;
            if (index >= count)
                let_others_run();
        }
    }
    return status;
}

int plugrt_receive_chunks(char *target, const char *staged, uint64_t nbytes, uint64_t chunk,
                          int threads, void *wait, void *const *events)
{
    uint64_t count = (nbytes + chunk - 1) / chunk;
    plugrt_await reached = (plugrt_await)wait;
    atomic_uint_fast64_t next = 0;
    atomic_int status = 0;

#pragma omp parallel num_threads(threads) if (threads > 1)
    for (;;) {
        uint64_t index = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
        if (index >= count || atomic_load(&status))
            break;
        int found = reached(events[index]);
        if (found)
            atomic_store(&status, found);
        else
            memcpy(target + index * chunk, staged + index * chunk,
                   length_of(index, nbytes, chunk));
    }
    return atomic_load(&status);
}
