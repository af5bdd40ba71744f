/* Pooling for any processor. */

#define ISA portable
#define WIDTH 16
#include "kinds.h"
