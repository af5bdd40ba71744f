// What decides about conditional graph nodes, on the device.

typedef unsigned long long cudaGraphConditionalHandle;
extern "C" __device__ void cudaGraphSetConditional(
    cudaGraphConditionalHandle handle, unsigned int value);

extern "C" __global__ void choose_branch(
    cudaGraphConditionalHandle handle, const unsigned char *condition, int wanted)
{
    cudaGraphSetConditional(handle, (*condition != 0) == wanted);
}

struct loop {
    long long run;
    long long maximum;
};

// Whether run number state->run takes place; sets the condition, the iteration and the count.
static __device__ void decide(
    cudaGraphConditionalHandle handle, loop *state, const unsigned char *condition,
    long long *iteration, long long *count, long long capacity, int *fault)
{
    bool goes_on = state->run < state->maximum && (!condition || *condition);
    if (goes_on && capacity >= 0 && state->run >= capacity) {
        *fault = 1;
        goes_on = false;
    }
    if (goes_on && iteration)
        *iteration = state->run;
    if (count)
        *count = state->run;
    cudaGraphSetConditional(handle, goes_on);
}

extern "C" __global__ void begin_loop(
    cudaGraphConditionalHandle handle, loop *state, long long maximum,
    const long long *maximum_at, const unsigned char *condition, long long *iteration,
    long long *count, long long capacity, int *fault)
{
    state->run = 0;
    state->maximum = maximum_at ? *maximum_at : maximum;
    decide(handle, state, condition, iteration, count, capacity, fault);
}

extern "C" __global__ void end_of_run(
    cudaGraphConditionalHandle handle, loop *state, const unsigned char *condition,
    long long *iteration, long long *count, long long capacity, int *fault)
{
    state->run++;
    decide(handle, state, condition, iteration, count, capacity, fault);
}

extern "C" __global__ void copy_row(
    const unsigned char *from, unsigned char *to, long long bytes, const loop *state)
{
    to += state->run * bytes;
    long long step = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < bytes; i += step)
        to[i] = from[i];
}
