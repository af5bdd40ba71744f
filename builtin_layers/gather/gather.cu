/* Gather: pieces of memory chosen by indices; an index outside of the axis gives zeros, since a
 * kernel cannot stop the inference. */
#include "storage.cuh"

using namespace plugrt;

/* A piece is `words` words; every thread moves one. */
template <typename Word, typename Index>
__global__ void __launch_bounds__(256) gather(const Word *__restrict__ data,
    const Index *__restrict__ indices, Word *__restrict__ output, unsigned total, unsigned words,
    unsigned count, long long extent)
{
    const unsigned thread = blockIdx.x * 256u + threadIdx.x;
    if (thread >= total)
        return;
    const unsigned word = thread % words, piece = thread / words;
    const unsigned outer = piece / count;
    long long index = static_cast<long long>(indices[piece % count]);
    index += index < 0 ? extent : 0;
    Word value = {};
    if (index >= 0 && index < extent)
        value = data[(outer * extent + index) * words + word];
    output[thread] = value;
}
