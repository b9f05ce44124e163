/* The joint filter in double precision. */
#define ROM_DOUBLE
#define OBS_KERNELS joint_f64
#define observer_t observer_f64_t
#include "joint_host.h"
