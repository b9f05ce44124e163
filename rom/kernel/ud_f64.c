/* The factors in double precision. */
#define ROM_DOUBLE
#define UD_KERNELS ud_f64
#include "ud_host.h"
