/* The filter on the reduced cell in double precision. */
#define ROM_DOUBLE
#define CELL_FILTER
#define CELL_KERNELS cell_filter_f64
#include "cell_host.h"
