/* Bilinear resizing, change from pixels to planes and scaling in one pass.
 *
 * A stretch of columns is made at a time, a task making some of its rows: source rows are
 * interpolated along the columns into two lines, which the first cache holds, and lines are
 * mixed into rows.  Neighbouring rows often share a line, which then is not made again.
 */
#include <math.h>
#include <string.h>

#include "clones.h"
#include "resizing.h"

enum {
    COLORS = 3,
    LANES = 4, /* pixels have a fourth lane of no meaning: one is one load */
    STRETCH = 512,
    TASK_ROWS = 32,
    WORTH_A_TEAM = 64 * 64
};

static const float WHITE = 1.0f / 255.0f;
static const float GREY = 0.5f;
static const float WEIGHT_UNIT = 2048.0f; /* of OpenCV's weights, 11 bits */

static int64_t limited(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- where to look ------------------------------------------------------------------- */

/* Rows or columns of the picture, `extent`, and of the resized one, `size`. */
typedef struct axis {
    int is_rows;
    int interpolation;
    int64_t size;
    int64_t extent;
    float corner_step;
    double centre_step;
} axis;

/* Two neighbours along an axis and what each contributes.  Along columns the second is always
 * the one behind the first: at the end, where there is none, it contributes nothing. */
typedef struct tap {
    int64_t first, second;
    float first_weight, second_weight;
} tap;

static axis axis_of(int is_rows, int interpolation, int64_t size, int64_t extent)
{
    return (axis) {
        is_rows,
        interpolation,
        size,
        extent,
        size > 1 ? (float)(extent - 1) / (float)(size - 1) : 0.0f,
        1.0 / ((double)size / (double)extent),
    };
}

static tap corner_tap(const axis *along, int64_t place)
{
    const int64_t last = along->extent - 1;
    const int is_end = place == along->size - 1 || last == 0;
    if (along->size == 1 || (is_end && !along->is_rows))
        return (tap) { last, last, 1.0f, 0.0f };
    const float position = (float)place * along->corner_step;
    const int64_t first = limited((int64_t)position, 0, last);
    const float weight = position - (float)first;
    /* Darknet's last row has one term only: it is dark where rounding put it before the
     * picture's last row.  Nets see that row so there, hence also here. */
    return (tap) { first, limited(first + 1, 0, last), 1.0f - weight, is_end ? 0.0f : weight };
}

static tap centre_tap(const axis *along, int64_t place)
{
    const float position = (float)(((double)place + 0.5) * along->centre_step - 0.5);
    int64_t first = (int64_t)position;
    first -= (float)first > position; /* rounded down */
    float weight = position - (float)first;
    if (!along->is_rows && (first < 0 || first >= along->extent - 1))
        weight = 0.0f;
    return (tap) {
        limited(first, 0, along->extent - 1),
        limited(first + 1, 0, along->extent - 1),
        rintf((1.0f - weight) * WEIGHT_UNIT),
        rintf(weight * WEIGHT_UNIT),
    };
}

static tap tap_of(const axis *along, int64_t place)
{
    place = limited(place, 0, along->size - 1);
    return along->interpolation == YOLO_CENTRES ? centre_tap(along, place)
                                                : corner_tap(along, place);
}

/* ---- along a row --------------------------------------------------------------------- */

typedef struct columns {
    int64_t count;
    int64_t safe; /* of them the first ones, behind which there is another pixel */
    const yolo_picture *picture;
    int32_t first[STRETCH]; /* bytes from the row's start */
    float first_weights[STRETCH * LANES], second_weights[STRETCH * LANES]; /* lane by lane */
} columns;

/* A source row at the places of `columns`. */
typedef struct line {
    int64_t row; /* -1: none yet */
    float values[STRETCH * LANES];
} line;

static int64_t row_bytes(const yolo_picture *picture)
{
    return (picture->width - 1) * picture->pixel_stride + COLORS;
}

static void find_columns(columns *found, const yolo_picture *picture, const axis *along,
    int64_t start, int64_t count)
{
    found->count = count;
    found->safe = 0;
    found->picture = picture;
    for (int64_t i = 0; i < count; i++) {
        tap t = tap_of(along, start + i);
        found->first[i] = (int32_t)(t.first * picture->pixel_stride);
        for (int lane = 0; lane < LANES; lane++) {
            found->first_weights[i * LANES + lane] = t.first_weight;
            found->second_weights[i * LANES + lane] = t.second_weight;
        }
        if (found->first[i] + picture->pixel_stride + LANES <= row_bytes(picture))
            found->safe = i + 1;
    }
}

/* Both neighbours of every place in a row, one behind the other.  Rows wanted later lie too far
 * apart for the processor to foresee, so those of `ahead` are fetched into the second cache
 * meanwhile. */
static void gather(uint8_t *pairs, const uint8_t *row, const uint8_t *ahead, const columns *at)
{
    const int64_t stride = at->picture->pixel_stride;
    if (stride == LANES) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < at->safe; i++) {
            __builtin_prefetch(ahead + at->first[i], 0, 2);
            memcpy(pairs + i * 2 * LANES, row + at->first[i], 2 * LANES);
        }
    } else {
        for (int64_t i = 0; i < at->safe; i++) {
            const uint8_t *pixel = row + at->first[i];
            __builtin_prefetch(ahead + at->first[i], 0, 2);
            memcpy(pairs + i * 2 * LANES, pixel, LANES);
            memcpy(pairs + i * 2 * LANES + LANES, pixel + stride, LANES);
        }
    }
    for (int64_t i = at->safe; i < at->count; i++) {
        uint8_t pair[2 * LANES] = { 0 };
        const int64_t left = row_bytes(at->picture) - at->first[i];
        memcpy(pair, row + at->first[i], (size_t)limited(left, 0, sizeof pair));
        memcpy(pairs + i * 2 * LANES, pair, LANES);
        memcpy(pairs + i * 2 * LANES + LANES, pair + stride, LANES);
    }
}

YOLO_CLONES
static void mix_columns(float *restrict values, const uint8_t *restrict pairs,
    const float *restrict a, const float *restrict b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        for (int lane = 0; lane < LANES; lane++) {
            const int64_t k = i * LANES + lane;
            values[k] = a[k] * (float)pairs[i * 2 * LANES + lane]
                + b[k] * (float)pairs[i * 2 * LANES + LANES + lane];
        }
}

static void make_line(line *made, int64_t row, int64_t ahead, const columns *at)
{
    const yolo_picture *picture = at->picture;
    uint8_t pairs[STRETCH * 2 * LANES];
    gather(pairs, picture->pixels + row * picture->row_stride,
        picture->pixels + ahead * picture->row_stride, at);
    mix_columns(made->values, pairs, at->first_weights, at->second_weights, at->count);
    made->row = row;
}

/* The line of a source row, which one of `lines` may hold; never the one called `keep`. */
static const line *line_of(
    line lines[2], const line *keep, int64_t row, int64_t ahead, const columns *at)
{
    for (int i = 0; i < 2; i++)
        if (lines[i].row == row)
            return &lines[i];
    line *free = &lines[keep == &lines[0]];
    make_line(free, row, ahead, at);
    return free;
}

/* ---- across rows --------------------------------------------------------------------- */

YOLO_CLONES
static void mix_lines(float *restrict red, float *restrict green, float *restrict blue,
    const float *restrict upper, const float *restrict lower, float a, float b, int64_t count)
{
    a *= WHITE;
    b *= WHITE;
    for (int64_t i = 0; i < count; i++) {
        red[i] = a * upper[LANES * i] + b * lower[LANES * i];
        green[i] = a * upper[LANES * i + 1] + b * lower[LANES * i + 1];
        blue[i] = a * upper[LANES * i + 2] + b * lower[LANES * i + 2];
    }
}

/* Floats hold the integers of OpenCV's fixed point exactly until here. */
static inline float mix_rounded(float upper, float lower, int32_t a, int32_t b)
{
    int32_t sum = (((int32_t)upper >> 4) * a >> 16) + (((int32_t)lower >> 4) * b >> 16);
    return (float)((sum + 2) >> 2) * WHITE;
}

YOLO_CLONES
static void mix_lines_rounded(float *restrict red, float *restrict green, float *restrict blue,
    const float *restrict upper, const float *restrict lower, int32_t a, int32_t b,
    int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        red[i] = mix_rounded(upper[LANES * i], lower[LANES * i], a, b);
        green[i] = mix_rounded(upper[LANES * i + 1], lower[LANES * i + 1], a, b);
        blue[i] = mix_rounded(upper[LANES * i + 2], lower[LANES * i + 2], a, b);
    }
}

YOLO_CLONES
static void mix_colors(float *restrict grey, const float *restrict red,
    const float *restrict green, const float *restrict blue, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        grey[i] = 0.299f * red[i] + 0.587f * green[i] + 0.114f * blue[i]; /* Rec. 601 */
}

/* ---- the whole ----------------------------------------------------------------------- */

typedef struct job {
    const yolo_picture *picture;
    const yolo_place *place;
    axis rows, columns;
    float *output;
    int64_t channels, height, width;
    int64_t top, bottom, left, right; /* what the picture covers of the output */
} job;

/* The columns `at`, of which the first is `start`, of rows [from, to). */
static void mix_rows(
    const job *j, const columns *at, int64_t from, int64_t to, int64_t start)
{
    const int64_t count = at->count;
    line lines[2];
    lines[0].row = lines[1].row = -1;
    float colors[COLORS][STRETCH];
    for (int64_t row = from; row < to; row++) {
        const tap t = tap_of(&j->rows, row - j->place->top);
        const tap next = tap_of(&j->rows, row + 1 - j->place->top);
        const line *upper = line_of(lines, NULL, t.first, next.first, at);
        const line *lower = line_of(lines, upper, t.second, next.second, at);
        float *output = j->output + row * j->width + start;
        const int64_t plane = j->height * j->width;
        float *red = j->channels == 1 ? colors[0] : output;
        float *green = j->channels == 1 ? colors[1] : output + plane;
        float *blue = j->channels == 1 ? colors[2] : output + 2 * plane;
        if (j->rows.interpolation == YOLO_CENTRES)
            mix_lines_rounded(red, green, blue, upper->values, lower->values,
                (int32_t)t.first_weight, (int32_t)t.second_weight, count);
        else
            mix_lines(red, green, blue, upper->values, lower->values, t.first_weight,
                t.second_weight, count);
        if (j->channels == 1)
            mix_colors(output, red, green, blue, count);
    }
}

static void fill(float *output, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = GREY;
}

static void fill_around(const job *j, int64_t from, int64_t to)
{
    for (int64_t channel = 0; channel < j->channels; channel++)
        for (int64_t row = from; row < to; row++) {
            float *output = j->output + (channel * j->height + row) * j->width;
            if (row < j->top || row >= j->bottom) {
                fill(output, j->width);
                continue;
            }
            fill(output, j->left);
            fill(output + j->right, j->width - j->right);
        }
}

void yolo_prepare(const yolo_picture *picture, const yolo_place *place, int interpolation,
    int surroundings, float *output, int64_t channels, int64_t height, int64_t width,
    int threads)
{
    job whole = {
        picture,
        place,
        axis_of(1, interpolation, place->height, picture->height),
        axis_of(0, interpolation, place->width, picture->width),
        output,
        channels,
        height,
        width,
        .top = 0,
        .bottom = height,
        .left = 0,
        .right = width,
    };
    if (surroundings == YOLO_GREY) {
        whole.top = limited(place->top, 0, height);
        whole.bottom = limited(place->top + place->height, whole.top, height);
        whole.left = limited(place->left, 0, width);
        whole.right = limited(place->left + place->width, whole.left, width);
    }
    const int64_t tasks = (height + TASK_ROWS - 1) / TASK_ROWS;
    const int team = height * width < WORTH_A_TEAM ? 1 : threads;
    columns at;

    for (int64_t column = whole.left; column < whole.right; column += STRETCH) {
        find_columns(&at, picture, &whole.columns, column - place->left,
            limited(whole.right - column, 0, STRETCH));
#pragma omp parallel for schedule(dynamic) num_threads(team)
        for (int64_t task = 0; task < tasks; task++) {
            const int64_t start = task * TASK_ROWS;
            const int64_t end = limited(start + TASK_ROWS, 0, height);
            mix_rows(&whole, &at, limited(start, whole.top, whole.bottom),
                limited(end, whole.top, whole.bottom), column);
            if (column == whole.left)
                fill_around(&whole, start, end);
        }
    }
}
