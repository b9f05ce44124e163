/* The step in double precision. */
#define ROM_DOUBLE
#define STEP_KERNELS step_f64
#include "step_host.h"
