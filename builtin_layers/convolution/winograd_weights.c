/* The weights of a Winograd convolution, transformed once: G g G^T in double, stored as float or bfloat16. */
#include "winograd.h"
#include "winograd_points.h"

#include <string.h>

struct winograd_weights_arguments {
    plugrt_ref weights; /* [outputs][channels][3][3] */
    plugrt_ref packed; /* as winograd.h has them, zeroed */
    int32_t tile, outputs, channels;
    int32_t is_narrow; /* whether they are packed as bfloat16 */
};

enum { LARGEST = 6, TAPS = 3 };

/* The transform along one axis: `tile` + 2 rows of three. */
static void fill_transform(int tile, double (*g)[TAPS])
{
    const double points[] = {WINOGRAD_A, WINOGRAD_B};
    const double a2 = points[0] * points[0], b2 = points[1] * points[1];
    if (tile == 2) {
        const double rows[4][TAPS] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
        for (int i = 0; i < 4; i++)
            for (int tap = 0; tap < TAPS; tap++)
                g[i][tap] = rows[i][tap];
        return;
    }
    /* A point's row is its powers over the product of its distances to the other points. */
    g[0][0] = 1 / (a2 * b2);
    g[0][1] = g[0][2] = 0;
    for (int k = 0; k < 4; k++) {
        const double point = k % 2 ? -points[k / 2] : points[k / 2];
        const double square = point * point, other = k < 2 ? b2 : a2;
        const double factor = 1 / (2 * square * (square - other));
        g[1 + k][0] = factor;
        g[1 + k][1] = factor * point;
        g[1 + k][2] = factor * square;
    }
    g[5][0] = g[5][1] = 0;
    g[5][2] = 1;
}

/* One input channel's weights for `count` output channels of a panel, whose filters are `step`
 * floats apart, by position. */
TARGET_CLONES static void transform_channel(const double (*g)[TAPS], int size,
    const float *weights, int64_t step, int count, float (*result)[WINOGRAD_PANEL])
{
    double filter[TAPS][TAPS][WINOGRAD_PANEL] = {{{0}}};
    double half[LARGEST][TAPS][WINOGRAD_PANEL];
    for (int k = 0; k < count; k++)
        for (int y = 0; y < TAPS; y++)
            for (int x = 0; x < TAPS; x++)
                filter[y][x][k] = weights[k * step + y * TAPS + x];
    for (int i = 0; i < size; i++)
        for (int x = 0; x < TAPS; x++)
            for (int k = 0; k < WINOGRAD_PANEL; k++)
                half[i][x][k] = g[i][0] * filter[0][x][k] + g[i][1] * filter[1][x][k]
                    + g[i][2] * filter[2][x][k];
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++, result++)
            for (int k = 0; k < WINOGRAD_PANEL; k++)
                (*result)[k] = (float)(half[i][0][k] * g[j][0] + half[i][1][k] * g[j][1]
                    + half[i][2][k] * g[j][2]);
}

/* Rounded half to even; the weights are finite numbers. */
static inline uint16_t bfloat16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Where an input channel lies among the halves of the words: see winograd.h. */
static int half_of(int channel, int channels)
{
    const int first = channel / WINOGRAD_NARROW_BLOCK * WINOGRAD_NARROW_BLOCK;
    const int within = channel - first;
    const int odd_ones = channels - first > WINOGRAD_BLOCK ? WINOGRAD_BLOCK : WINOGRAD_BLOCK / 2;
    return first + within / 2 + (within % 2 ? odd_ones : 0);
}

LAYER_KERNEL(plugrt_winograd_weights)
{
    const struct winograd_weights_arguments *a = args;
    const float *weights = plugrt_address(call, a->weights);
    char *packed = plugrt_address(call, a->packed);
    const int size = a->tile + 2, depth = winograd_depth(a->channels, a->is_narrow);
    double g[LARGEST][TAPS];
    fill_transform(a->tile, g);
    const int panels = (a->outputs + WINOGRAD_PANEL - 1) / WINOGRAD_PANEL;
    const int64_t step = (int64_t)a->channels * TAPS * TAPS;

#pragma omp parallel for collapse(2) schedule(static) num_threads(call->thread_count)
    for (int panel = 0; panel < panels; panel++)
        for (int c = 0; c < a->channels; c++) {
            const int first = panel * WINOGRAD_PANEL, left = a->outputs - first;
            const int width = winograd_width(a->outputs, first);
            float result[LARGEST * LARGEST][WINOGRAD_PANEL];
            transform_channel((const double (*)[TAPS])g, size,
                weights + first * step + (int64_t)c * TAPS * TAPS, step,
                left < width ? left : width, result);
            char *to = packed + (int64_t)first * size * size * depth * (int64_t)sizeof(float);
            const int half = a->is_narrow ? half_of(c, a->channels) : 0;
            for (int position = 0; position < size * size; position++) {
                if (a->is_narrow)
                    for (int k = 0; k < width; k++)
                        ((uint16_t *)to)[(half / 2 * width + k) * 2 + half % 2]
                            = bfloat16_of(result[position][k]);
                else
                    memcpy((float *)to + (int64_t)c * width, result[position],
                        (size_t)width * sizeof(float));
                to += (int64_t)depth * width * (int64_t)sizeof(float);
            }
        }
    return 0;
}
