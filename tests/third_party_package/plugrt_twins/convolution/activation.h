/* What a kernel may do to a result before it stores it. */
#ifndef TWIN_ACTIVATION_H
#define TWIN_ACTIVATION_H

#include <stdint.h>

enum { KEEP, LEAK, LIMIT };

/* "i3f" in an argument block. */
struct activation {
    int32_t kind;
    float slope, low, high;
};

static inline __attribute__((always_inline)) float activated(
    const struct activation *activation, float value)
{
    if (activation->kind == LEAK)
        return value > 0 ? value : value * activation->slope;
    if (activation->kind == LIMIT) {
        value = value < activation->low ? activation->low : value;
        return value > activation->high ? activation->high : value;
    }
    return value;
}

#endif
