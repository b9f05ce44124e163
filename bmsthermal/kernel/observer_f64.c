/* The observer in double precision, one cell at a time. */
#define ROM_DOUBLE
#define OBS_KERNELS observer_f64
#define observer_t observer_f64_t
#include "host.h"
