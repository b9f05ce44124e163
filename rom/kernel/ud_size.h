/* ud_size.h - one size of the factors (UD_N states, as many columns of noise) behind pointers to anything. */
#define UD_G UD_N
#include "ud.h"

static void ROM_(predict)(void *ud, const void *F, const void *G, const void *q)
{
    ROM_(ud_predict)(ud, F, G, q);
}

static double ROM_(measure)(void *ud, const void *row, double variance, double weight, void *gain)
{
    return ROM_(ud_measure)(ud, row, (num_t)variance, (num_t)weight, gain);
}

static void ROM_(inflate)(void *ud, const void *vector, double weight)
{
    ROM_(ud_inflate)(ud, vector, (num_t)weight);
}

static double ROM_(variance)(const void *ud, int state)
{
    return ROM_(ud_variance)(ud, state);
}

static double ROM_(spread)(const void *ud, const void *row)
{
    return ROM_(ud_spread)(ud, row);
}

static void ROM_(add)(void *x, void *carry, const void *dx, long steps)
{
    for (long k = 0; k < steps; k++) {
        ROM_(ud_add)(x, carry, (const num_t *)dx + k * UD_N);
    }
}

static const ud_kernel_t ROM_(kernel) = {ROM_(predict), ROM_(measure), ROM_(inflate),
                                         ROM_(variance), ROM_(spread), ROM_(add)};

#undef UD_G
#undef UD_N
