/* The interpreter: cuts the output into blocks, shares them out among threads,
 * and runs the program on each.
 */
#include "pointwise_table.h"

#include <omp.h>
#include <stdio.h>

static const int compute_size[PLUGRT_COMPUTE_COUNT] = {
    [PLUGRT_COMPUTE_FLOAT32] = 4,
    [PLUGRT_COMPUTE_FLOAT64] = 8,
    [PLUGRT_COMPUTE_INT64] = 8,
};

static const int native_storage[PLUGRT_COMPUTE_COUNT] = {
    [PLUGRT_COMPUTE_FLOAT32] = PLUGRT_STORE_FLOAT32,
    [PLUGRT_COMPUTE_FLOAT64] = PLUGRT_STORE_FLOAT64,
    [PLUGRT_COMPUTE_INT64] = PLUGRT_STORE_INT64,
};

/* What all threads of one call share. */
struct plan {
    const plugrt_call *call;
    const plugrt_pointwise_program *program;
    const plugrt_pointwise_operand *operands; /* the output last */
    const plugrt_pointwise_constant *constants;
    const plugrt_pointwise_instruction *instructions;
    const pointwise_operation *operations;
    const pointwise_load *loads;
    const pointwise_store *stores;
    int64_t item_size;
    int64_t rows_per_block;
    int64_t blocks_per_row; /* 1 where a block takes whole rows */
    int64_t blocks_per_plane;
    int64_t block_count;
};

/* One thread's registers, and what they hold. */
struct machine {
    _Alignas(64) char memory[PLUGRT_POINTWISE_REGISTER_BYTES];
    void *values[PLUGRT_POINTWISE_MAX_REGISTERS];
    const char *bases[PLUGRT_POINTWISE_MAX_OPERANDS];  /* at the current outer index */
    const char *loaded[PLUGRT_POINTWISE_MAX_OPERANDS]; /* what a register was filled from, */
    int64_t loaded_count[PLUGRT_POINTWISE_MAX_OPERANDS]; /* and how many elements */
};

static void make_plan(struct plan *plan, const void *args, const plugrt_call *call)
{
    const plugrt_pointwise_program *program = args;
    const pointwise_table *table = pointwise_table_here();
    plan->call = call;
    plan->program = program;
    plan->operands = (const plugrt_pointwise_operand *)(program + 1);
    plan->constants
        = (const plugrt_pointwise_constant *)(plan->operands + program->operand_count);
    plan->instructions
        = (const plugrt_pointwise_instruction *)(plan->constants + program->constant_count);
    plan->operations = table->operations[program->compute];
    plan->loads = table->loads[program->compute];
    plan->stores = table->stores[program->compute];
    plan->item_size = compute_size[program->compute];

    int64_t planes = 1;
    for (int axis = 0; axis < program->outer_rank; axis++)
        planes *= program->outer_sizes[axis];
    if (program->columns >= program->block) {
        plan->rows_per_block = 1;
        plan->blocks_per_row = (program->columns + program->block - 1) / program->block;
        plan->blocks_per_plane = program->rows * plan->blocks_per_row;
    } else {
        plan->rows_per_block = program->block / program->columns;
        if (plan->rows_per_block > program->rows)
            plan->rows_per_block = program->rows;
        plan->blocks_per_row = 1;
        plan->blocks_per_plane
            = (program->rows + plan->rows_per_block - 1) / plan->rows_per_block;
    }
    plan->block_count = planes * plan->blocks_per_plane;
}

/* Whether instructions can work on the operand's memory itself. */
static int is_direct(const struct plan *plan, const plugrt_pointwise_operand *operand)
{
    return operand->storage == native_storage[plan->program->compute]
        && operand->column_stride == plan->item_size
        && (plan->rows_per_block == 1
            || operand->row_stride == plan->program->columns * plan->item_size);
}

static void load_rows(const struct plan *plan, const plugrt_pointwise_operand *operand,
    void *result, const char *memory, int64_t rows, int64_t columns)
{
    pointwise_load load = plan->loads[operand->storage];
    if (operand->row_stride == operand->column_stride * columns) {
        columns *= rows;
        rows = 1;
    }
    for (int64_t row = 0; row < rows; row++)
        load((char *)result + row * columns * plan->item_size,
            memory + row * operand->row_stride, operand->column_stride, columns);
}

static void store_rows(const struct plan *plan, const plugrt_pointwise_operand *operand,
    char *memory, const void *value, int64_t rows, int64_t columns)
{
    pointwise_store store = plan->stores[operand->storage];
    if (operand->row_stride == operand->column_stride * columns) {
        columns *= rows;
        rows = 1;
    }
    for (int64_t row = 0; row < rows; row++)
        store(memory + row * operand->row_stride, operand->column_stride,
            (const char *)value + row * columns * plan->item_size, columns);
}

static void prepare(const struct plan *plan, struct machine *machine, int64_t most)
{
    const plugrt_pointwise_program *program = plan->program;
    int64_t size = program->block * plan->item_size;
    for (int i = 0; i < program->register_count; i++)
        machine->values[i] = machine->memory + i * size;
    for (int i = 0; i < program->operand_count; i++)
        machine->loaded[i] = NULL;
    for (int i = 0; i < program->constant_count; i++) {
        const plugrt_pointwise_constant *constant = &plan->constants[i];
        if (program->compute == PLUGRT_COMPUTE_FLOAT32) {
            float value = (float)constant->real;
            plan->loads[PLUGRT_STORE_FLOAT32](
                machine->values[constant->reg], (const char *)&value, 0, most);
        } else if (program->compute == PLUGRT_COMPUTE_FLOAT64) {
            plan->loads[PLUGRT_STORE_FLOAT64](
                machine->values[constant->reg], (const char *)&constant->real, 0, most);
        } else {
            plan->loads[PLUGRT_STORE_INT64](
                machine->values[constant->reg], (const char *)&constant->integer, 0, most);
        }
    }
}

static void move_to_plane(const struct plan *plan, struct machine *machine, int64_t plane)
{
    const plugrt_pointwise_program *program = plan->program;
    for (int i = 0; i < program->operand_count; i++)
        machine->bases[i] = plugrt_address(plan->call, plan->operands[i].ref);
    for (int axis = program->outer_rank - 1; axis >= 0; axis--) {
        int64_t index = plane % program->outer_sizes[axis];
        plane /= program->outer_sizes[axis];
        for (int i = 0; i < program->operand_count; i++)
            machine->bases[i] += index * plan->operands[i].outer_strides[axis];
    }
}

static void run_block(const struct plan *plan, struct machine *machine, int64_t first_row,
    int64_t rows, int64_t first_column, int64_t columns)
{
    const plugrt_pointwise_program *program = plan->program;
    int inputs = program->operand_count - 1;
    int64_t count = rows * columns;
    const plugrt_pointwise_operand *output = &plan->operands[inputs];
    char *destination = (char *)machine->bases[inputs] + first_row * output->row_stride
        + first_column * output->column_stride;
    int direct_output = is_direct(plan, output);

    for (int i = 0; i < inputs; i++) {
        const plugrt_pointwise_operand *operand = &plan->operands[i];
        const char *memory = machine->bases[i] + first_row * operand->row_stride
            + first_column * operand->column_stride;
        if (program->instruction_count == 0 && direct_output) {
            load_rows(plan, operand, destination, memory, rows, columns);
            return;
        }
        if (is_direct(plan, operand)) {
            machine->values[operand->reg] = (void *)memory;
        } else if (memory != machine->loaded[i] || count > machine->loaded_count[i]) {
            load_rows(plan, operand, machine->values[operand->reg], memory, rows, columns);
            machine->loaded[i] = memory;
            machine->loaded_count[i] = count;
        }
    }
    /* Only the last instruction writes the output's register, and none reads it. */
    if (direct_output)
        machine->values[output->reg] = destination;
    for (int i = 0; i < program->instruction_count; i++) {
        const plugrt_pointwise_instruction *step = &plan->instructions[i];
        plan->operations[step->operation](machine->values[step->result],
            machine->values[step->a], machine->values[step->b], machine->values[step->c],
            count);
    }
    if (!direct_output)
        store_rows(plan, output, destination, machine->values[output->reg], rows, columns);
}

static void run_blocks(const struct plan *plan, int64_t first, int64_t last)
{
    const plugrt_pointwise_program *program = plan->program;
    if (first >= last)
        return;
    struct machine machine;
    int64_t widest = plan->blocks_per_row > 1 || plan->rows_per_block == 1
        ? (program->columns < program->block ? program->columns : program->block)
        : plan->rows_per_block * program->columns;
    prepare(plan, &machine, widest);
    int64_t current_plane = -1;
    for (int64_t block = first; block < last; block++) {
        int64_t plane = block / plan->blocks_per_plane;
        int64_t index = block - plane * plan->blocks_per_plane;
        if (plane != current_plane) {
            move_to_plane(plan, &machine, plane);
            current_plane = plane;
        }
        int64_t row = index / plan->blocks_per_row * plan->rows_per_block;
        int64_t rows = program->rows - row < plan->rows_per_block ? program->rows - row
                                                                  : plan->rows_per_block;
        int64_t column = index % plan->blocks_per_row * program->block;
        int64_t columns = program->columns - column < program->block
            ? program->columns - column
            : program->block;
        run_block(plan, &machine, row, rows, column, columns);
    }
}

int plugrt_pointwise(const void *args, const plugrt_call *call)
{
    struct plan plan;
    make_plan(&plan, args, call);
    for (int i = 0; i < plan.program->operand_count; i++) {
        if (plan.operands[i].ref.slot >= call->slot_count) {
            snprintf(call->message, call->message_capacity,
                "operand %d lies in slot %u of a call with %u slots", i,
                (unsigned)plan.operands[i].ref.slot, (unsigned)call->slot_count);
            return 1;
        }
    }
    if (!plan.program->parallel || call->thread_count <= 1 || plan.block_count <= 1) {
        run_blocks(&plan, 0, plan.block_count);
        return 0;
    }
#pragma omp parallel num_threads(call->thread_count)
    {
        int64_t team = omp_get_num_threads(), member = omp_get_thread_num();
        run_blocks(&plan, plan.block_count * member / team,
            plan.block_count * (member + 1) / team);
    }
    return 0;
}
