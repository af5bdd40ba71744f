/* The choice among instruction sets; see layer_kernel.h. */
#include "layer_kernel.h"

int plugrt_instruction_sets = PLUGRT_AVX512_BF16;
