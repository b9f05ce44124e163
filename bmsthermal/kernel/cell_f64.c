/* The reduced cell in double precision. */
#define ROM_DOUBLE
#define CELL_KERNELS cell_f64
#include "cell_host.h"
