/* The joint filter in single precision. */
#define OBS_KERNELS joint_f32
#define observer_t observer_f32_t
#include "joint_host.h"
