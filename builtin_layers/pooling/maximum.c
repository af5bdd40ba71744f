/* Maximum pooling; padding never wins, nor does NaN. */
#include "windows.h"

LAYER_KERNEL(plugrt_max_pooling_float32)
{
    return RUN_POOLING(plugrt_maximum_float32);
}

LAYER_KERNEL(plugrt_max_pooling_bfloat16)
{
    return RUN_POOLING(plugrt_maximum_bfloat16);
}

LAYER_KERNEL(plugrt_max_pooling_int8)
{
    return RUN_POOLING(plugrt_maximum_int8);
}

LAYER_KERNEL(plugrt_max_pooling_uint8)
{
    return RUN_POOLING(plugrt_maximum_uint8);
}
