/* The filter on the reduced cell in single precision. */
#define CELL_FILTER
#define CELL_KERNELS cell_filter_f32
#include "cell_host.h"
