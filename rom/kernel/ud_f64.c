/* The factors in double precision. */
#define ROM_DOUBLE
#define UD_KERNEL ud_f64
#include "ud_host.h"
