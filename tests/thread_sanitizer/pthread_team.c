/* What the compiler and our kernels ask of libgomp, on plain pthreads.
 *
 * ThreadSanitizer sees neither into libgomp nor how its threads wait for each other. Linked into
 * an extension, these functions take the place of libgomp's for the extension's own code alone:
 * the same parallel regions then run on threads that the sanitizer follows. A team lives as long
 * as its region. A region inside another one runs on one thread.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAXIMUM_LOOPS = 256, MAXIMUM_TEAM = 64 };

/* A loop whose iterations go to whoever asks first. */
struct loop {
    bool is_open;
    long next, end, step, chunk;
};

struct team {
    int size;
    void (*body)(void *);
    void *data;
    pthread_mutex_t lock;
    pthread_barrier_t barrier;
    struct loop loops[MAXIMUM_LOOPS];
};

struct member {
    struct team *team;
    int number, loops_met;
};

static _Thread_local struct member *self;

extern int omp_get_max_threads(void); /* libgomp's: what the caller asked for, oneDNN included */

static void fail(const char *reason)
{
    fprintf(stderr, "pthread_team: %s\n", reason);
    abort();
}

static void *run(void *member)
{
    self = member;
    self->team->body(self->team->data);
    return NULL;
}

void GOMP_parallel(void (*body)(void *), void *data, unsigned size, unsigned flags)
{
    (void)flags;
    int wanted = self ? 1 : size ? (int)size : omp_get_max_threads();
    if (wanted > MAXIMUM_TEAM)
        fail("a team is larger than this one can be; raise MAXIMUM_TEAM");
    struct team team = {.size = wanted, .body = body, .data = data};
    struct member members[MAXIMUM_TEAM], *outer = self;
    pthread_t threads[MAXIMUM_TEAM];
    pthread_mutex_init(&team.lock, NULL);
    pthread_barrier_init(&team.barrier, NULL, (unsigned)wanted);
    for (int k = 0; k < wanted; k++)
        members[k] = (struct member){&team, k, 0};
    for (int k = 1; k < wanted; k++)
        if (pthread_create(&threads[k], NULL, run, &members[k]))
            fail("the system has no further thread");
    run(&members[0]);
    for (int k = 1; k < wanted; k++)
        pthread_join(threads[k], NULL);
    self = outer;
    pthread_barrier_destroy(&team.barrier);
    pthread_mutex_destroy(&team.lock);
}

void GOMP_barrier(void)
{
    if (self)
        pthread_barrier_wait(&self->team->barrier);
}

static bool take(struct team *team, struct loop *loop, long *first, long *last)
{
    pthread_mutex_lock(&team->lock);
    bool found = loop->step > 0 ? loop->next < loop->end : loop->next > loop->end;
    if (found) {
        *first = loop->next;
        *last = loop->next += loop->chunk * loop->step;
        if (loop->step > 0 ? *last > loop->end : *last < loop->end)
            *last = loop->end;
    }
    pthread_mutex_unlock(&team->lock);
    return found;
}

bool GOMP_loop_nonmonotonic_dynamic_next(long *first, long *last)
{
    return take(self->team, &self->team->loops[self->loops_met - 1], first, last);
}

bool GOMP_loop_nonmonotonic_dynamic_start(long start, long end, long step, long chunk,
                                          long *first, long *last)
{
    struct team *team = self->team;
    if (self->loops_met == MAXIMUM_LOOPS)
        fail("a region has more loops than this one can count; raise MAXIMUM_LOOPS");
    struct loop *loop = &team->loops[self->loops_met++];
    pthread_mutex_lock(&team->lock);
    if (!loop->is_open)
        *loop = (struct loop){true, start, end, step, chunk};
    pthread_mutex_unlock(&team->lock);
    return GOMP_loop_nonmonotonic_dynamic_next(first, last);
}

void GOMP_loop_end_nowait(void)
{
}

void GOMP_loop_end(void)
{
    GOMP_barrier();
}

int omp_get_thread_num(void)
{
    return self ? self->number : 0;
}

int omp_get_num_threads(void)
{
    return self ? self->team->size : 1;
}
