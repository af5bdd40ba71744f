/* Takes back what vectors_begin.h defines, and what the including file was given. */

#undef JOINED
#undef IN
#undef LOCAL
#undef INLINED
#undef CHOSEN
#undef RUN_LINE
#undef LANES
#undef REACH
