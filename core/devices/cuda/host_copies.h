/* Large copies within the host's memory by a team, chunk by chunk, beside transfers of a GPU. */
#ifndef PLUGRT_HOST_COPIES_H
#define PLUGRT_HOST_COPIES_H

#include <stddef.h>
#include <stdint.h>

/* The driver's functions, told apart from it: this library does not depend on the driver. */
typedef int (*plugrt_send)(uint64_t target, const void *source, size_t nbytes, void *stream);
typedef int (*plugrt_await)(void *event);

/* Copies `nbytes` from `source` to `staged`, and sends each chunk on to `target` from the calling
   thread as soon as it and all before it are there. Returns the first status of `send` but 0. */
int plugrt_send_chunks(const char *source, char *staged, uint64_t target, uint64_t nbytes,
                       uint64_t chunk, int threads, void *send, void *stream);

/* Copies `nbytes` from `staged` to `target`, each chunk once its event is reached. Returns the
   first status of `wait` but 0. */
int plugrt_receive_chunks(char *target, const char *staged, uint64_t nbytes, uint64_t chunk,
                          int threads, void *wait, void *const *events);

#endif
