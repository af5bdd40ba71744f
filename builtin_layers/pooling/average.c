/* Average pooling; quantised types from the input's scale to the output's. */
#include "windows.h"

LAYER_KERNEL(plugrt_average_pooling_float32)
{
    return plugrt_run_pooling(args, call, sizeof(float), BEST_OF(plugrt_average_row_float32));
}

LAYER_KERNEL(plugrt_average_pooling_bfloat16)
{
    return plugrt_run_pooling(
        args, call, sizeof(uint16_t), BEST_OF(plugrt_average_row_bfloat16));
}

LAYER_KERNEL(plugrt_average_pooling_int8)
{
    return plugrt_run_pooling(args, call, sizeof(int8_t), BEST_OF(plugrt_average_row_int8));
}

LAYER_KERNEL(plugrt_average_pooling_uint8)
{
    return plugrt_run_pooling(args, call, sizeof(uint8_t), BEST_OF(plugrt_average_row_uint8));
}
