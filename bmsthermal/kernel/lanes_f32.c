/* The observer in float precision, 8 cells side by side where the compiler knows vectors. */
#if defined(__GNUC__)
#define ROM_LANES 8
#endif
#define OBS_KERNELS observer_lanes_f32
#define observer_t observer_f32_t
#include "host.h"
