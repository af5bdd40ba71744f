/* Rows of a pooling for any processor. */

#define ISA portable
#include "rows.h"
