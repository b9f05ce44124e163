/* step_sizes.h - the step for ROM_U sources and ROM_W walls, in every number of modes. */
#define ROM_N 1
#include "step_size.h"
#define ROM_N 2
#include "step_size.h"
#define ROM_N 3
#include "step_size.h"
#define ROM_N 4
#include "step_size.h"
#define ROM_N 5
#include "step_size.h"
#define ROM_N 6
#include "step_size.h"
#define ROM_N 7
#include "step_size.h"
#define ROM_N 8
#include "step_size.h"
#undef ROM_U
#undef ROM_W
