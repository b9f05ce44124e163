/* The reduced cell in single precision. */
#define CELL_KERNELS cell_f32
#include "cell_host.h"
