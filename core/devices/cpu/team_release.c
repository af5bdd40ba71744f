#include "command_list.h"
#include "caller_state.h"

/* Of OpenMP 5, by its binary name: not every omp.h has it. */
enum { PAUSE_SOFT = 1 };
extern int omp_pause_resource_all(int kind) __attribute__((weak));

void plugrt_release_team(const plugrt_thread_services *services)
{
    if (!omp_pause_resource_all || omp_pause_resource_all(PAUSE_SOFT))
        return;
    plugrt_forget_pinned_team();
    fenv_t before;
    fegetenv(&before);
    services->prime(1); /* the next team is a new one: its threads are to be primed again */
    fesetenv(&before);
}
