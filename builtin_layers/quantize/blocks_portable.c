/* Quantising for any processor. */

#define ISA portable
#include "blocks.h"
