/* cell_points.h - one class of sizes (CELL_M modes of each electrode), with so many points of the electrodes. */
#if CELL_M == 4
#define ROM_N 3
#define CELL_S 2
#define ROM_W 2 /* both ends of a cylinder ask for more thermal modes than this class has */
#define CELL_R 4
#elif CELL_M == 6
#define ROM_N 4
#define CELL_S 3
#define ROM_W 3
#define CELL_R 4
#else
#define ROM_N 6
#define CELL_S 4
#define ROM_W 3
#define CELL_R 4
#endif

#define CELL_QN 1
#define CELL_QP 1
#define CELL_Q 1
#include "cell_size.h"
#define CELL_QN 2
#define CELL_QP 2
#define CELL_Q 2
#include "cell_size.h"
#define CELL_QN 3
#define CELL_QP 2
#define CELL_Q 3
#include "cell_size.h"
#define CELL_QN 4
#define CELL_QP 3
#define CELL_Q 4
#include "cell_size.h"

#undef CELL_M
#undef ROM_N
#undef ROM_W
#undef CELL_S
#undef CELL_R
