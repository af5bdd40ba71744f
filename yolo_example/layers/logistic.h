/* exp and the logistic function, in a form that compilers vectorise. */
#ifndef YOLO_LOGISTIC_H
#define YOLO_LOGISTIC_H

#include <stdint.h>
#include <string.h>

#include "clones.h"

static inline float yolo_clamped(float x, float low, float high)
{
    x = x < low ? low : x; /* false for NaN, which passes */
    return x > high ? high : x;
}

/* exp(x) within 2 ulp for |x| <= 87; beyond, the value at the bound.
 * x = n ln 2 + r, |r| <= ln 2 / 2, and a Taylor polynomial for exp(r). */
static inline float yolo_exp(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: its addition rounds to integers */
    x = yolo_clamped(x, -87.0f, 87.0f);
    float shifted = x * 1.44269504f + round;
    float n = shifted - round;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* the integer n stands in the lowest bits of `shifted` */
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float yolo_logistic(float x)
{
    return 1.0f / (1.0f + yolo_exp(-x));
}

#endif
