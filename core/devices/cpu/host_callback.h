#ifndef PLUGRT_HOST_CALLBACK_H
#define PLUGRT_HOST_CALLBACK_H
#include "plugrt_kernel.h"

/* cffi defines this one; it takes the interpreter's lock. */
static int plugrt_call_python(void *handle, const plugrt_call *call);

static int plugrt_python(const void *args, const plugrt_call *call)
{
    return plugrt_call_python(*(void *const *)args, call);
}

uintptr_t plugrt_python_address(void)
{
    return (uintptr_t)plugrt_python;
}
#endif
