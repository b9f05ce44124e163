/* The slopes of a step of the reduced cell, in double precision: the same text in numbers that carry a derivative. */
#if defined(__GNUC__)
#define ROM_DOUBLE
#define ROM_DUAL
#define CELL_KERNELS cell_slopes
#include "cell_host.h"
#else
#include <stddef.h>

#include "cells.h"
cell_slopes_t cell_slopes(int negative, int positive, int modes)
{
    (void)negative, (void)positive, (void)modes;
    return NULL;
}
#endif
