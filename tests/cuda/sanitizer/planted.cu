// One error for each tool of compute-sanitizer; none where `wrong` is 0.

extern "C" __global__ void leave_buffer(
    const float *x, float *y, float *scratch, int count, int wrong)
{
    y[threadIdx.x + (threadIdx.x == count - 1 ? wrong : 0)] = x[threadIdx.x];
}

extern "C" __global__ void race(const float *x, float *y, float *scratch, int count, int wrong)
{
    __shared__ float kept[64];
    kept[threadIdx.x] = x[threadIdx.x];
    if (!wrong)
        __syncthreads();
    y[threadIdx.x] = kept[count - 1 - threadIdx.x];
}

extern "C" __global__ void read_unwritten(
    const float *x, float *y, float *scratch, int count, int wrong)
{
    if (!wrong)
        scratch[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = scratch[threadIdx.x];
}

extern "C" __global__ void diverge(const float *x, float *y, float *scratch, int count, int wrong)
{
    if (!wrong || threadIdx.x % 2)
        __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}
