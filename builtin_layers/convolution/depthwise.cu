/* Depthwise convolution of channels-last images: every channel has a filter of its own.
 *
 * A thread computes PACK neighbouring channels of TILE neighbouring points in RUN neighbouring
 * rows, so that what it loads serves several of them: one after the other, blocks would read
 * every row as often as the window is high. Sums are in float32. */
#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "epilogue.cuh"

using namespace plugrt;

struct Two {
    int of[2];
};
struct Sizes {
    Divisor packs, tiles, runs; /* of channels, of points in a row, of rows */
};
struct Strides {
    long long of[4]; /* images, channels, rows, points */
};

/* Weights are [height, width, channels]. Where windows are small, four blocks on a multiprocessor
 * are faster than more registers. */
template <typename T, typename W, int PACK, int HEIGHT, int WIDTH, int STRIDE, int RUN, int TILE>
__global__ void __launch_bounds__(128, HEIGHT *WIDTH <= 9 ? 4 : 1) convolution_depthwise(
    const T *input, const W *__restrict__ weights, T *output, unsigned count, Two input_size,
    Two output_size, int channels, Sizes size, Two before, Strides from,
    Strides to EPILOGUE_PARAMETERS)
{
    constexpr int COLUMNS = (TILE - 1) * STRIDE + WIDTH, LINES = (RUN - 1) * STRIDE + HEIGHT;
    constexpr int AHEAD = COLUMNS * LINES <= 24 ? LINES : 2; /* lines loaded together */
    constexpr bool KEEPS = HEIGHT * WIDTH <= 9; /* the filter stays in registers */
    unsigned rest = blockIdx.x * 128u + threadIdx.x;
    const bool idle = rest >= count;
    if (idle)
        rest = 0;
    const int c = size.packs.split(rest) * PACK;
    const int x = size.tiles.split(rest) * TILE;
    const int y = size.runs.split(rest) * RUN;
    const int n = rest;
    float total[RUN][TILE][PACK];
#pragma unroll
    for (int j = 0; j < RUN; j++)
#pragma unroll
        for (int i = 0; i < TILE; i++)
#pragma unroll
            for (int e = 0; e < PACK; e++)
                total[j][i][e] = 0.0f;
    const int first_line = y * STRIDE - before.of[0], first_column = x * STRIDE - before.of[1];
    const T *corner =
        input + n * from.of[0] + c + first_line * from.of[2] + first_column * from.of[3];
    weights += c;
    Packed<W, PACK> filter[KEEPS ? HEIGHT * WIDTH : 1];
    if (KEEPS)
#pragma unroll
        for (int k = 0; k < HEIGHT * WIDTH; k++)
            filter[KEEPS ? k : 0] = load_packed<W, PACK>(weights + k * channels);
    await_predecessors();
    if (idle)
        return;
    const Epilogue epilogue = EPILOGUE_VALUES;
    Epilogue::Operands operands[RUN][TILE];
#pragma unroll
    for (int j = 0; j < RUN; j++)
#pragma unroll
        for (int i = 0; i < TILE; i++) /* of a point that exists */
            epilogue.fetch(operands[j][i], PACK, n, c, 0, min(y + j, output_size.of[0] - 1),
                min(x + i, output_size.of[1] - 1));
#pragma unroll
    for (int top = 0; top < LINES; top += AHEAD) {
        Packed<T, PACK> lines[AHEAD][COLUMNS];
#pragma unroll
        for (int ahead = 0; ahead < AHEAD; ahead++) {
            const int line = first_line + top + ahead;
#pragma unroll
            for (int k = 0; k < COLUMNS; k++) {
                const int column = first_column + k;
                lines[ahead][k] = Packed<T, PACK>{};
                if (top + ahead < LINES && line >= 0 && line < input_size.of[0] && column >= 0
                    && column < input_size.of[1])
                    lines[ahead][k] = load_packed<T, PACK>(
                        corner + (top + ahead) * from.of[2] + k * from.of[3]);
            }
        }
#pragma unroll
        for (int ahead = 0; ahead < AHEAD; ahead++)
#pragma unroll
            for (int k = 0; k < COLUMNS; k++) {
                float value[PACK];
                widen_all<float, T, PACK>(lines[ahead][k], value);
#pragma unroll
                for (int j = 0; j < RUN; j++)
#pragma unroll
                    for (int i = 0; i < TILE; i++) {
                        const int row = top + ahead - j * STRIDE, column = k - i * STRIDE;
                        if (row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH)
                            continue;
                        const int number = row * WIDTH + column;
                        const Packed<W, PACK> tap = KEEPS
                            ? filter[KEEPS ? number : 0]
                            : load_packed<W, PACK>(weights + number * channels);
#pragma unroll
                        for (int e = 0; e < PACK; e++)
                            total[j][i][e] += value[e] * widen<float>(tap.elements[e]);
                    }
            }
    }
    T *place = output + n * to.of[0] + c;
#pragma unroll
    for (int j = 0; j < RUN; j++)
#pragma unroll
        for (int i = 0; i < TILE; i++)
            if (y + j < output_size.of[0] && x + i < output_size.of[1]) {
                epilogue.finish(total[j][i], operands[j][i]);
                store<T, float, PACK>(
                    place + (y + j) * to.of[2] + (x + i) * to.of[3], total[j][i]);
            }
}
