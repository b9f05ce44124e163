/* Stand-in of foxBMS 2's header. */
#ifndef ALGORITHM_CFG_H_
#define ALGORITHM_CFG_H_

#include "fstd_types.h"

#include <stdint.h>

#ifndef ALGO_TICK_ms
#define ALGO_TICK_ms (100u)
#endif

typedef STD_RETURN_TYPE_e ALGO_INITIALIZATION_FUNCTION_f(void);
typedef void ALGO_COMPUTATION_FUNCTION_f(void);
typedef enum { ALGO_UNINITIALIZED, ALGO_READY } ALGO_STATE_e;

typedef struct {
    ALGO_STATE_e state;
    uint32_t cycleTime_ms;
    uint32_t maxCalculationDuration_ms;
    uint32_t startTime;
    ALGO_INITIALIZATION_FUNCTION_f *fpInitialization;
    ALGO_COMPUTATION_FUNCTION_f *fpAlgorithm;
} ALGO_TASKS_s;

extern ALGO_TASKS_s algo_algorithms[];

#endif
