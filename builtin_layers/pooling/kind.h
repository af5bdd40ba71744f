/* One kind of pooling, whose functions kinds.h tells: KIND, ELEMENT in memory, VALUE, IS_AVERAGE. */

#define SCALAR __typeof__(((VALUE){0})[0])
#define LANES ((int)(WIDTH / sizeof(SCALAR)))

#include "points.h"

#include "lines.h"

#include "flats.h"

#include "wholes.h"

#if !IS_AVERAGE
#include "planes.h"
#define PLANES FUNCTION(planes)
#else
#define PLANES NULL
#endif

const struct pooling_kind NAMED(NAMED(plugrt, KIND), ISA) = {
    .channels = LANES,
    .points = FUNCTION(points),
    .lines = FUNCTION(lines),
    .flats = FUNCTION(flats),
    .wholes = FUNCTION(wholes),
    .planes = PLANES,
};

#undef PLANES
#undef LANES
#undef SCALAR
#undef KIND
#undef ELEMENT
#undef VALUE
