/* Stand-in of foxBMS 2's header; a test sets other numbers on the command line. */
#ifndef BATTERY_SYSTEM_CFG_H_
#define BATTERY_SYSTEM_CFG_H_

#include <stdbool.h>

#ifndef BS_POSITIVE_DISCHARGE_CURRENT
#define BS_POSITIVE_DISCHARGE_CURRENT (true)
#endif
#ifndef BS_NR_OF_STRINGS
#define BS_NR_OF_STRINGS (1u)
#endif
#ifndef BS_NR_OF_MODULES_PER_STRING
#define BS_NR_OF_MODULES_PER_STRING (1u)
#endif
#ifndef BS_NR_OF_PARALLEL_CELLS_PER_CELL_BLOCK
#define BS_NR_OF_PARALLEL_CELLS_PER_CELL_BLOCK (1u)
#endif
#ifndef BS_NR_OF_CELL_BLOCKS_PER_MODULE
#define BS_NR_OF_CELL_BLOCKS_PER_MODULE (18u)
#endif
#ifndef BS_NR_OF_TEMP_SENSORS_PER_MODULE
#define BS_NR_OF_TEMP_SENSORS_PER_MODULE (8u)
#endif

#endif
