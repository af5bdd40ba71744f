/* The OpenMP threads that kernels share, and what the processor can do.
 * This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_THREADS_H
#define PLUGRT_THREADS_H

/* Makes the calling thread and its team of `thread_count` OpenMP workers treat
 * denormal numbers as zero: arithmetic on them is up to a hundred times slower.
 * The workers keep the setting: calling again from the same thread for as many costs nothing.
 * The caller may take its own setting back with plugrt_flush_denormals. */
void plugrt_prime_threads(int thread_count);

/* The same setting of the calling thread alone.  Returns whether it was on. */
int plugrt_flush_denormals(int enable);

/* How many of the team's `thread_count` threads flush denormals now. */
int plugrt_count_flushing(int thread_count);

/* The size of the calling thread's next OpenMP team. */
int plugrt_get_num_threads(void);
void plugrt_set_num_threads(int thread_count);

/* Processors this process may use. */
int plugrt_available_processors(void);

/* 1 or 0 for a feature such as "avx512vnni"; -1 for a name this build does not know. */
int plugrt_cpu_supports(const char *feature);

#endif
