/* The factors in single precision, as on most targets. */
#define UD_KERNEL ud_f32
#include "ud_host.h"
