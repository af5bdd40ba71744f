/* Strided copies, shared out among threads by rows. */
#include "copying.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "transpose.h"

typedef struct {
    uint64_t low, high;
} pair_of_words;

/* Part of one plane: rows [first, last). */
typedef void (*copy_rows)(const plugrt_copy_arguments *copy, char *destination,
    const char *source, int64_t first, int64_t last);

#define COPY_ITEMS(type)                                                                     \
    for (int64_t column = 0; column < copy->columns; column++) {                             \
        type item;                                                                           \
        memcpy(&item, from + column * copy->source_column_stride, sizeof item);              \
        memcpy(to + column * copy->destination_column_stride, &item, sizeof item);           \
    }

static void copy_strided(const plugrt_copy_arguments *copy, char *destination,
    const char *source, int64_t first, int64_t last)
{
    for (int64_t row = first; row < last; row++) {
        char *to = destination + row * copy->destination_row_stride;
        const char *from = source + row * copy->source_row_stride;
        switch (copy->item_size) {
        case 1:
            COPY_ITEMS(uint8_t)
            break;
        case 2:
            COPY_ITEMS(uint16_t)
            break;
        case 4:
            COPY_ITEMS(uint32_t)
            break;
        case 8:
            COPY_ITEMS(uint64_t)
            break;
        default:
            COPY_ITEMS(pair_of_words)
        }
    }
}

/* Short runs, of a size the compiler knows, need no call of memcpy each. */
#define SHORT_RUNS(size)                                                                     \
    for (int64_t row = first; row < last; row++)                                             \
        memcpy(destination + row * copy->destination_row_stride,                             \
            source + row * copy->source_row_stride, size);

static void copy_runs(const plugrt_copy_arguments *copy, char *destination, const char *source,
    int64_t first, int64_t last)
{
    size_t size = (size_t)(copy->columns * copy->item_size);
    switch (size) {
    case 32:
        SHORT_RUNS(32)
        break;
    case 64:
        SHORT_RUNS(64)
        break;
    case 128:
        SHORT_RUNS(128)
        break;
    default:
        SHORT_RUNS(size)
    }
}

static void copy_transposed(const plugrt_copy_arguments *copy, char *destination,
    const char *source, int64_t first, int64_t last)
{
    transpose_plane(destination + first * copy->destination_row_stride,
        copy->destination_row_stride, source + first * copy->source_row_stride,
        copy->source_column_stride, last - first, copy->columns, copy->item_size);
}

/* Rows [first, last) counted through all planes. */
static void copy_range(const plugrt_copy_arguments *copy, const plugrt_call *call,
    int64_t first, int64_t last)
{
    static const copy_rows modes[] = {
        [PLUGRT_COPY_RUNS] = copy_runs,
        [PLUGRT_COPY_TRANSPOSE] = copy_transposed,
        [PLUGRT_COPY_STRIDED] = copy_strided,
    };
    while (first < last) {
        int64_t plane = first / copy->rows;
        int64_t row = first - plane * copy->rows;
        int64_t rows = copy->rows - row < last - first ? copy->rows - row : last - first;
        char *destination = plugrt_address(call, copy->destination);
        const char *source = plugrt_address(call, copy->source);
        for (int axis = copy->outer_rank - 1; axis >= 0; axis--) {
            int64_t index = plane % copy->outer_sizes[axis];
            plane /= copy->outer_sizes[axis];
            destination += index * copy->destination_outer_strides[axis];
            source += index * copy->source_outer_strides[axis];
        }
        modes[copy->mode](copy, destination, source, row, row + rows);
        first += rows;
    }
}

/* A share of `count`, cut at multiples of a tile so that lines are not split. */
static int64_t share(int64_t count, int64_t member, int64_t team)
{
    enum { TILE = 64 };
    int64_t at = count * member / team;
    return member == team || count < team * TILE ? at : at - at % TILE;
}

/* What one of the team does: some of the rows, or where these are few, some columns of all. */
static void copy_share(const plugrt_copy_arguments *copy, const plugrt_call *call,
    int64_t rows, int64_t member, int64_t team)
{
    enum { MANY = 16 };
    if (rows >= team * MANY || copy->columns < rows) {
        copy_range(copy, call, share(rows, member, team), share(rows, member + 1, team));
        return;
    }
    int64_t first = share(copy->columns, member, team);
    plugrt_copy_arguments mine = *copy;
    mine.columns = share(copy->columns, member + 1, team) - first;
    mine.source.offset += (uint64_t)(first * copy->source_column_stride);
    mine.destination.offset += (uint64_t)(first * copy->destination_column_stride);
    copy_range(&mine, call, 0, mine.columns > 0 ? rows : 0);
}

int plugrt_copy(const void *args, const plugrt_call *call)
{
    const plugrt_copy_arguments *copy = args;
    if (copy->source.slot >= call->slot_count || copy->destination.slot >= call->slot_count) {
        snprintf(call->message, call->message_capacity,
            "a copy needs slots %u and %u of a call with %u slots",
            (unsigned)copy->source.slot, (unsigned)copy->destination.slot,
            (unsigned)call->slot_count);
        return 1;
    }
    int64_t rows = copy->rows;
    for (int axis = 0; axis < copy->outer_rank; axis++)
        rows *= copy->outer_sizes[axis];
    if (!copy->parallel || call->thread_count <= 1) {
        copy_range(copy, call, 0, rows);
        return 0;
    }
#pragma omp parallel num_threads(call->thread_count)
    copy_share(copy, call, rows, omp_get_thread_num(), omp_get_num_threads());
    return 0;
}
