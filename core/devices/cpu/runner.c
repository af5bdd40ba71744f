#include "runner.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif

enum { IDLE, WORK, STOP };
enum { PAUSES = 64 }; /* between two signs of life: workers spin much longer */

typedef struct {
    const plugrt_list *list;
    const plugrt_call *call;
    const plugrt_thread_services *services;
    const plugrt_affinity *affinity;
    double *seconds;
    int status;
    int32_t failed_layer;
} replay;

struct plugrt_runner {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    atomic_int state;
    int thread_count;
    double spin_seconds;
    replay *job;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* An empty region: workers that wait for the next one start spinning anew. */
static void keep_team_awake(int thread_count)
{
#pragma omp parallel num_threads(thread_count)
    __asm__ volatile("" ::: "memory");
}

static void spin(plugrt_runner *runner)
{
    double end = now() + runner->spin_seconds;
    while (atomic_load_explicit(&runner->state, memory_order_acquire) == IDLE && now() < end) {
        keep_team_awake(runner->thread_count);
        for (int k = 0; k < PAUSES; k++)
            PAUSE();
        sched_yield();
    }
}

static void work(replay *job)
{
    job->status =
        plugrt_list_replay(job->list, job->call, job->services, job->affinity, job->seconds);
    job->failed_layer = plugrt_failed_layer();
}

static void *run(void *argument)
{
    plugrt_runner *runner = argument;
    for (;;) {
        pthread_mutex_lock(&runner->lock);
        while (atomic_load(&runner->state) == IDLE)
            pthread_cond_wait(&runner->given, &runner->lock);
        pthread_mutex_unlock(&runner->lock);
        if (atomic_load(&runner->state) == STOP)
            return NULL;
        work(runner->job);
        pthread_mutex_lock(&runner->lock);
        atomic_store(&runner->state, IDLE);
        pthread_cond_signal(&runner->done);
        pthread_mutex_unlock(&runner->lock);
        spin(runner);
    }
}

plugrt_runner *plugrt_runner_create(int thread_count, double spin_seconds)
{
    plugrt_runner *runner = calloc(1, sizeof(plugrt_runner));
    if (!runner)
        return NULL;
    runner->thread_count = thread_count;
    runner->spin_seconds = spin_seconds;
    atomic_init(&runner->state, IDLE);
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->given, NULL);
    pthread_cond_init(&runner->done, NULL);
    if (pthread_create(&runner->thread, NULL, run, runner)) {
        free(runner);
        return NULL;
    }
    return runner;
}

static void hand_over(plugrt_runner *runner, int state)
{
    atomic_store_explicit(&runner->state, state, memory_order_release);
    pthread_cond_signal(&runner->given);
}

void plugrt_runner_destroy(plugrt_runner *runner)
{
    if (!runner)
        return;
    pthread_mutex_lock(&runner->lock);
    hand_over(runner, STOP);
    pthread_mutex_unlock(&runner->lock);
    pthread_join(runner->thread, NULL);
    pthread_cond_destroy(&runner->given);
    pthread_cond_destroy(&runner->done);
    pthread_mutex_destroy(&runner->lock);
    free(runner);
}

int plugrt_runner_replay(plugrt_runner *runner, const plugrt_list *list,
                         const plugrt_call *call, const plugrt_thread_services *services,
                         const plugrt_affinity *affinity, double *seconds)
{
    replay job = {.list = list, .call = call, .services = services, .affinity = affinity,
                  .seconds = seconds};
    pthread_mutex_lock(&runner->lock);
    runner->job = &job;
    hand_over(runner, WORK);
    while (atomic_load(&runner->state) == WORK)
        pthread_cond_wait(&runner->done, &runner->lock);
    pthread_mutex_unlock(&runner->lock);
    plugrt_note_failure(job.failed_layer);
    return job.status;
}
