#ifndef PLUGRT_HOST_CALLBACK_H
#define PLUGRT_HOST_CALLBACK_H
#include "command_list.h"

/* cffi defines this one; it takes the interpreter's lock. */
static int plugrt_call_python(void *handle, const plugrt_call *call);

static int plugrt_python(const void *args, const plugrt_call *call)
{
    int status = plugrt_call_python(*(void *const *)args, call);
    plugrt_note_failure(-1); /* of an engine that the function has run itself */
    return status;
}

uintptr_t plugrt_python_address(void)
{
    return (uintptr_t)plugrt_python;
}
#endif
