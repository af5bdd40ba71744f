/* What a kernel may do to results before it stores them. */
#ifndef TWIN_ACTIVATION_H
#define TWIN_ACTIVATION_H

#include <stdint.h>

enum { KEEP, LEAK, LIMIT };

/* "i3f" in an argument block. */
struct activation {
    int32_t kind;
    float slope, low, high;
};

#endif
