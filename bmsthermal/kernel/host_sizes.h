/* host_sizes.h - the text OBS_SIZE once for each number of modes, at the walls of the moment; side by side, for the
   usual ones. */
#define ROM_N 2
#include OBS_SIZE
#undef ROM_N
#define ROM_N 3
#include OBS_SIZE
#undef ROM_N
#define ROM_N 4
#include OBS_SIZE
#undef ROM_N
#define ROM_N 5
#include OBS_SIZE
#undef ROM_N
#define ROM_N 6
#include OBS_SIZE
#undef ROM_N
#if !defined(ROM_LANES)
#define ROM_N 1
#include OBS_SIZE
#undef ROM_N
#define ROM_N 7
#include OBS_SIZE
#undef ROM_N
#define ROM_N 8
#include OBS_SIZE
#undef ROM_N
#endif
