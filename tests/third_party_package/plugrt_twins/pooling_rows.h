/* Rows of pooling over one element type; included with ELEMENT, SUM (the type of sums), LOWEST,
 * WIDEST (lanes of the widest step of a maximum), FINISH (see below), SUFFIX (of names). */

#define JOINED(name, suffix) name##_##suffix
#define WITH(name, suffix) JOINED(name, suffix)
#define LOCAL(name) WITH(name, SUFFIX)
#define INLINED static inline __attribute__((always_inline))
#define VECTOR_OF(type, lanes) type __attribute__((vector_size((lanes) * sizeof(type))))
#define CHOSEN(where, yes, no)                                                               \
    ((where) & (__typeof__(where))(yes)) | (~(where) & (__typeof__(where))(no))

/* VISIT for every element of the window. */
#define VISIT_WINDOW(VISIT)                                                                  \
    const struct span *spans = window->spans;                                                \
    if (window->count > 0)                                                                   \
        for (int k = 0; k < window->count; k++)                                              \
            VISIT(input + window->places[k]);                                                \
    else                                                                                     \
        for (int z = 0; z < spans[0].count; z++)                                             \
            for (int y = 0; y < spans[1].count; y++)                                         \
                for (int x = 0; x < spans[2].count; x++)                                     \
                    VISIT(input + place_of(a, spans, z, y, x));

#define KEEP_LARGER(element)                                                                 \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        best = (elements)(CHOSEN(value > best, value, best));                                \
    } while (0)

#define ADD_TO_SUM(element)                                                                  \
    do {                                                                                     \
        memcpy(&value, element, sizeof value);                                               \
        sum += __builtin_convertvector(value, sums);                                         \
    } while (0)

#define DEFINE_LARGEST(lanes)                                                                \
    INLINED void LOCAL(largest_##lanes)(const struct pooling *a,                             \
        const struct window *window, const struct LOCAL(mean) * unused,                      \
        const ELEMENT *input, ELEMENT *output)                                               \
    {                                                                                        \
        typedef VECTOR_OF(ELEMENT, lanes) elements;                                          \
        elements value, best = {0};                                                          \
        (void)unused;                                                                        \
        best += LOWEST;                                                                      \
        VISIT_WINDOW(KEEP_LARGER)                                                            \
        memcpy(output, &best, sizeof best);                                                  \
    }

/* FINISH(elements, floats, mean) makes results of the mean above the input's zero point. */
#define DEFINE_MEAN(lanes)                                                                   \
    INLINED void LOCAL(mean_##lanes)(const struct pooling *a, const struct window *window,   \
        const struct LOCAL(mean) * how, const ELEMENT *input, ELEMENT *output)               \
    {                                                                                        \
        typedef VECTOR_OF(ELEMENT, lanes) elements;                                          \
        typedef VECTOR_OF(SUM, lanes) sums;                                                  \
        typedef VECTOR_OF(float, lanes) floats;                                              \
        enum { LANES = lanes };                                                              \
        elements value;                                                                      \
        sums sum = {0};                                                                      \
        VISIT_WINDOW(ADD_TO_SUM)                                                             \
        floats mean = __builtin_convertvector(sum, floats);                                  \
        mean = (mean - how->shift) * how->factor;                                            \
        FINISH                                                                               \
        memcpy(output, &value, sizeof value);                                                \
    }

struct LOCAL(mean) {
    float shift, factor, zero;
};

/* Vectors of one lane would go through memory: linear tensors have points of one element. */
#define KEEP_LARGER_ELEMENT(element) best = *(element) > best ? *(element) : best

INLINED void LOCAL(largest_1)(const struct pooling *a, const struct window *window,
    const struct LOCAL(mean) * unused, const ELEMENT *input, ELEMENT *output)
{
    ELEMENT best = LOWEST;
    (void)unused;
    VISIT_WINDOW(KEEP_LARGER_ELEMENT)
    *output = best;
}

DEFINE_LARGEST(8)
DEFINE_LARGEST(16)
DEFINE_LARGEST(64)
DEFINE_MEAN(1)
DEFINE_MEAN(8)
DEFINE_MEAN(16)

#define STEPS(kind, lanes)                                                                   \
    for (; c + lanes <= row->end; c += lanes)                                                \
        LOCAL(kind##_##lanes)(a, window, &how, first + c, output + c);

#define DEFINE_RUN(kind, WIDE_STEPS)                                                         \
    void LOCAL(twins_##kind)(                                                                \
        const struct pooling *a, const struct row *row, const void *from, void *to)          \
    {                                                                                        \
        const ELEMENT *input = from;                                                         \
        ELEMENT *output = to;                                                                \
        const int columns = a->kernel[2];                                                    \
        struct window whole, cut;                                                            \
        whole.spans[0] = cut.spans[0] = span_of(a, 0, row->depth);                           \
        whole.spans[1] = cut.spans[1] = span_of(a, 1, row->height);                          \
        whole.spans[2] = (struct span){0, columns, columns};                                 \
        list_elements(a, &whole);                                                            \
        for (int at = 0; at < a->output_size[2]; at++, output += a->output_stride[4]) {      \
            const int start = at * a->stride[2] - a->before[2];                              \
            const int reach = start + (columns - 1) * a->dilation[2];                        \
            const struct window *window = &whole;                                            \
            const ELEMENT *first = input;                                                    \
            if (start >= 0 && reach < a->input_size[2]) {                                    \
                first += start * a->input_stride[4];                                         \
            } else {                                                                         \
                cut.spans[2] = span_of(a, 2, at);                                            \
                list_elements(a, &cut);                                                      \
                window = &cut;                                                               \
            }                                                                                \
            const struct span *s = window->spans;                                            \
            const float inside = (float)s[0].count * s[1].count * s[2].count;                \
            const float padded = (float)s[0].room * s[1].room * s[2].room;                   \
            const struct LOCAL(mean) how = {inside * a->input_zero,                          \
                a->ratio / (a->include_padding ? padded : inside), a->output_zero};          \
            int c = row->begin;                                                              \
            WIDE_STEPS                                                                       \
            STEPS(kind, 16)                                                                  \
            STEPS(kind, 8)                                                                   \
            STEPS(kind, 1)                                                                   \
        }                                                                                    \
    }

#if WIDEST > 16
DEFINE_RUN(largest, STEPS(largest, 64))
#else
DEFINE_RUN(largest, )
#endif
DEFINE_RUN(mean, )

#undef JOINED
#undef WITH
#undef LOCAL
#undef INLINED
#undef VECTOR_OF
#undef CHOSEN
#undef VISIT_WINDOW
#undef KEEP_LARGER
#undef KEEP_LARGER_ELEMENT
#undef ADD_TO_SUM
#undef DEFINE_LARGEST
#undef DEFINE_MEAN
#undef STEPS
#undef DEFINE_RUN
#undef ELEMENT
#undef SUM
#undef LOWEST
#undef WIDEST
#undef FINISH
#undef SUFFIX
