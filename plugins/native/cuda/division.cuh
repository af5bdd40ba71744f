/* Division by numbers that a kernel is given: a multiplication in place of some twenty
 * instructions. */
#pragma once

namespace plugrt {

/* Made by `divisor` in headers.py. Divides numbers below 2^31. */
struct Divisor {
    unsigned size, multiplier, shift;
    __device__ __forceinline__ unsigned quotient(unsigned number) const
    {
        return multiplier ? __umulhi(number, multiplier) >> shift : number;
    }
    /* The remainder; `number` becomes the quotient. */
    __device__ __forceinline__ unsigned split(unsigned &number) const
    {
        const unsigned whole = quotient(number), rest = number - whole * size;
        number = whole;
        return rest;
    }
};

} // namespace plugrt
