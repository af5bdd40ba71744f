/* Products of small matrices by one warp, and the copies into shared memory that feed them.
 * sm_75 multiplies float16 alone and copies nothing. */
#pragma once
#include "storage.cuh"

namespace plugrt {

/* A thread's share of 16 x 8 sums: columns 2 q and 2 q + 1 of rows l / 4 and l / 4 + 8, q being
 * l % 4 of lane l. */
struct Product {
    float of[4];
};

/* total += a (16 x 16) * b (16 x 8) in T. */
template <typename T> struct Multiply;
template <> struct Multiply<float16> {
    static __device__ __forceinline__ void add(
        Product &total, const unsigned (&a)[4], unsigned b0, unsigned b1)
    {
#if __CUDA_ARCH__ >= 800
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(b0));
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
    }
};
#if __CUDA_ARCH__ >= 800
template <> struct Multiply<bfloat16> {
    static __device__ __forceinline__ void add(
        Product &total, const unsigned (&a)[4], unsigned b0, unsigned b1)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(total.of[0]), "+f"(total.of[1]), "+f"(total.of[2]), "+f"(total.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};
#endif

__device__ __forceinline__ unsigned shared_address(const void *pointer)
{
    return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/* Four 8 x 8 matrices of 16-bit elements; lanes 8 k to 8 k + 7 give the rows of matrix k. */
__device__ __forceinline__ void load_matrices(unsigned (&to)[4], unsigned address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
        : "r"(address)
        : "memory");
}

#if __CUDA_ARCH__ >= 800
/* Starts to copy 16 bytes into shared memory; zeros where not `valid`. */
__device__ __forceinline__ void copy_async(unsigned to, const void *from, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
        "r"(valid ? 16 : 0)
        : "memory");
}

__device__ __forceinline__ void end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Waits until at most PENDING of a thread's groups of copies have not arrived. */
template <int PENDING> __device__ __forceinline__ void await_groups()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
#endif

} // namespace plugrt
