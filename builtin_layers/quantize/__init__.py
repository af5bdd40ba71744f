"""From float32 to 8-bit integers on one scale, in C."""
