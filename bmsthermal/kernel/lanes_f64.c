/* The observer in double precision, 4 cells side by side where the compiler knows vectors. */
#define ROM_DOUBLE
#if defined(__GNUC__)
#define ROM_LANES 4
#endif
#define OBS_KERNELS observer_lanes_f64
#define observer_t observer_f64_t
#include "host.h"
