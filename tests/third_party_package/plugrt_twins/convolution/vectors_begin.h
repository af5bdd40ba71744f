/* Vectors of LANES floats for the functions of one template, RUN_LINE being the outermost of them.
 * Each function is made anew, under a name of its own, for each RUN_LINE: see
 * ../instruction_sets.h. */

#define JOINED(a, b) a##_in_##b
#define IN(a, b) JOINED(a, b)
#define LOCAL(name) IN(name, RUN_LINE)
#define INLINED static inline __attribute__((always_inline))

typedef float LOCAL(floats) __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t LOCAL(masks) __attribute__((vector_size(LANES * sizeof(int32_t))));

/* yes or no, lane by lane. */
#define CHOSEN(where, yes, no)                                                               \
    (LOCAL(floats))(((LOCAL(masks))(yes) & (where)) | ((LOCAL(masks))(no) & ~(where)))

INLINED void LOCAL(activate)(const struct activation *activation, LOCAL(floats) *value)
{
    const LOCAL(floats) x = *value, zero = {0};
    if (activation->kind == LEAK) {
        *value = CHOSEN(x > 0, x, x * activation->slope);
    } else if (activation->kind == LIMIT) {
        const LOCAL(floats) low = zero + activation->low, high = zero + activation->high;
        const LOCAL(floats) raised = CHOSEN(x < low, low, x);
        *value = CHOSEN(raised > high, high, raised);
    }
}
