/* A bounded collection of rows: those of the highest scores. */
#ifndef YOLO_BEST_ROWS_H
#define YOLO_BEST_ROWS_H

#include <stdint.h>
#include <string.h>

enum { ROW_COORDINATES = 4, ROW_SCORE = 4, ROW_CLASS = 5, ROW_VALUES = 6 };

/* Rows in order of arrival while there is room, then a heap with the lowest score on top. */
typedef struct best_rows {
    float *rows;
    int64_t capacity;
    int64_t count;
    float least; /* scores must exceed it */
} best_rows;

static inline void best_rows_sink(best_rows *best, int64_t place)
{
    float row[ROW_VALUES];
    memcpy(row, best->rows + place * ROW_VALUES, sizeof row);
    for (;;) {
        int64_t child = 2 * place + 1;
        if (child >= best->count)
            break;
        const float *lower = best->rows + child * ROW_VALUES;
        if (child + 1 < best->count && lower[ROW_VALUES + ROW_SCORE] < lower[ROW_SCORE]) {
            lower += ROW_VALUES;
            child++;
        }
        if (row[ROW_SCORE] <= lower[ROW_SCORE])
            break;
        memcpy(best->rows + place * ROW_VALUES, lower, sizeof row);
        place = child;
    }
    memcpy(best->rows + place * ROW_VALUES, row, sizeof row);
}

static inline void best_rows_add(best_rows *best, const float *box, float score, int64_t label)
{
    if (!(score > best->least))
        return;
    int full = best->count == best->capacity;
    float *row = best->rows + (full ? 0 : best->count) * ROW_VALUES;
    memcpy(row, box, ROW_COORDINATES * sizeof *row);
    row[ROW_SCORE] = score;
    row[ROW_CLASS] = (float)label;
    if (full) {
        best_rows_sink(best, 0);
    } else {
        best->count++;
        if (best->count < best->capacity)
            return;
        for (int64_t place = best->count / 2 - 1; place >= 0; place--)
            best_rows_sink(best, place);
    }
    best->least = best->rows[ROW_SCORE];
}

#endif
