/* Pointwise loops for any processor. */
#define POINTWISE_TABLE pointwise_portable
#include "pointwise_loops.h"
