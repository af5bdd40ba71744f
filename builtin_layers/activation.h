/* Activations that kernels apply to results while these are in registers. */
#ifndef PLUGRT_ACTIVATION_H
#define PLUGRT_ACTIVATION_H

#include <stdint.h>

enum activation_kind { ACTIVATION_NONE, ACTIVATION_LEAKY, ACTIVATION_CLIP };

/* In an argument block: "i3f". */
struct activation {
    int32_t kind;
    float slope, low, high;
};

#define SELECTED(mask_type, mask, yes, no)                                                    \
    ((((mask_type)(yes)) & (mask)) | (((mask_type)(no)) & ~(mask)))

/* Defines `void name(const struct activation *, vector_type *)` for a vector of floats and the
 * vector of as many int32_t. */
#define DEFINE_ACTIVATE(name, vector_type, mask_type)                                        \
    static inline __attribute__((always_inline)) void name(                                  \
        const struct activation *activation, vector_type *value)                             \
    {                                                                                        \
        const vector_type x = *value;                                                        \
        if (activation->kind == ACTIVATION_LEAKY) {                                          \
            *value = (vector_type)SELECTED(mask_type, x > 0, x, x * activation->slope);      \
        } else if (activation->kind == ACTIVATION_CLIP) {                                    \
            const vector_type zero = {0};                                                    \
            const vector_type low = zero + activation->low, high = zero + activation->high;  \
            const vector_type raised = (vector_type)SELECTED(mask_type, x < low, low, x);    \
            *value = (vector_type)SELECTED(mask_type, raised > high, high, raised);          \
        }                                                                                    \
    }

#endif
