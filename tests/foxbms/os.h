/* Stand-in of foxBMS 2's header. */
#ifndef OS_H_
#define OS_H_

#include <stdint.h>

extern uint32_t OS_GetTickCount(void);

#endif
