/* ud_host.h - the factors for a desk, of any size up to UDS_ROOM, called with flat rows of numbers.
 *
 * Included by one C file per precision.
 */
#include "real.h"
#include "uds.h"

#define UD_ROOM UDS_ROOM
#define UD_COLUMNS (UDS_ROOM + 1)
#define UD_(name) ud_##name
#include "ud.h"

static void predict(int n, int g, void *ud, const void *F, const void *G, const void *q)
{
    ud_predict(n, g, ud, F, G, q);
}

static double measure(int n, void *ud, const void *row, double variance, double weight, void *gain)
{
    return ud_measure(n, ud, row, (num_t)variance, (num_t)weight, gain);
}

static void inflate(int n, void *ud, const void *vector, double weight)
{
    ud_inflate(n, ud, vector, (num_t)weight);
}

static double variance(int n, const void *ud, int state)
{
    return ud_variance(n, ud, state);
}

static double spread(int n, const void *ud, const void *row)
{
    return ud_spread(n, ud, row);
}

static void add(int n, void *x, void *carry, const void *dx, long steps)
{
    for (long k = 0; k < steps; k++) {
        ud_add(n, x, carry, (const num_t *)dx + k * n);
    }
}

const ud_kernel_t UD_KERNEL = {predict, measure, inflate, variance, spread, add};
