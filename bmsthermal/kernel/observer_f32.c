/* The observer in single precision, one cell at a time. */
#define OBS_KERNELS observer_f32
#define observer_t observer_f32_t
#include "host.h"
