/* The step in single precision, as on most targets. */
#define STEP_KERNELS step_f32
#include "step_host.h"
