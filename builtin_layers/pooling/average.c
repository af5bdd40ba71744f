/* Average pooling; quantised types from the input's scale to the output's. */
#include "windows.h"

LAYER_KERNEL(plugrt_average_pooling_float32)
{
    return RUN_POOLING(plugrt_average_float32);
}

LAYER_KERNEL(plugrt_average_pooling_bfloat16)
{
    return RUN_POOLING(plugrt_average_bfloat16);
}

LAYER_KERNEL(plugrt_average_pooling_int8)
{
    return RUN_POOLING(plugrt_average_int8);
}

LAYER_KERNEL(plugrt_average_pooling_uint8)
{
    return RUN_POOLING(plugrt_average_uint8);
}
