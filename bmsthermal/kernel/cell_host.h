/* cell_host.h - the reduced cell for a desk: every size in one table, called with flat rows of numbers.
 *
 * With ROM_DUAL, not its steps but their slopes; with CELL_FILTER, the filter on it.
 */
#include <stddef.h>
#include <string.h>

/* All in one function: sizes are constants there, and loops over two or three points unroll. */
#define ROM_INLINE static inline __attribute__((always_inline))

/* Compiled for plain and for wider registers, with the same rounding; the loader picks. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && !defined(ROM_DUAL) && !defined(CELL_FILTER)
#define CELL_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CELL_CLONES
#endif

#include "elementary.h"
#include "cells.h"

#if defined(CELL_FILTER)
#define CFL_SALT ((int)m->salt_states)
#define CFL_NEGATIVE ((int)m->negative_states)
#define CFL_POSITIVE ((int)m->positive_states)
#define CFL_THERMAL ((int)m->thermal_states)
#define CFL_M ((int)m->sensors)
#define CFL_M_MAX 8
#define CFL_ROOM 29 /* lithium, 4 shapes of the salt, 8 modes of each electrode, 6 thermal ones, and two more */
#define UD_ROOM CFL_ROOM
#define UD_COLUMNS 10
#define UD_(name) cell_ud_##name
#undef ROM_INLINE
#define ROM_INLINE static __attribute__((unused)) /* called from every size, of no size of its own */
#include "ud.h"
#undef ROM_INLINE
#define ROM_INLINE static inline __attribute__((always_inline))
typedef const cell_filter_t *cell_entry_t;
#define CELL_ENTRY(negative, positive, modes) &CELL_PASTE(negative, positive, modes, entry)
#elif defined(ROM_DUAL)
#include "dual.h"
typedef cell_slopes_t cell_entry_t;
#define CELL_ENTRY(negative, positive, modes) CELL_PASTE(negative, positive, modes, slopes)
#else
typedef const cell_kernel_t *cell_entry_t;
#define CELL_ENTRY(negative, positive, modes) &CELL_PASTE(negative, positive, modes, kernel)
#endif

#define ROM_U 1
#define ROM_W_MAX 3 /* side and both ends of a cylinder; others leave what they do not have insulated */
#define CELL_TABLE 513
#define CELL_PACES 65
#define CELL_WARM 91

/* Points of the negative and the positive electrode, and modes of each. */
#define CELL_PASTE_(negative, positive, modes, name) cell_n##negative##p##positive##m##modes##_##name
#define CELL_PASTE(negative, positive, modes, name) CELL_PASTE_(negative, positive, modes, name)
#define ROM_(name) CELL_PASTE(CELL_QN, CELL_QP, CELL_M, name)

#define CELL_M 4
#include "cell_points.h"
#define CELL_M 6
#include "cell_points.h"
#define CELL_M 8
#include "cell_points.h"

#define CELL_KERNEL(negative, positive)                                                                      \
    case 10 * negative + positive:                                                                           \
        return (modes == 4)   ? CELL_ENTRY(negative, positive, 4)                                            \
               : (modes == 6) ? CELL_ENTRY(negative, positive, 6)                                            \
               : (modes == 8) ? CELL_ENTRY(negative, positive, 8)                                            \
                              : NULL

cell_entry_t CELL_KERNELS(int negative, int positive, int modes)
{
    switch (10 * negative + positive) {
        CELL_KERNEL(1, 1);
        CELL_KERNEL(2, 2);
        CELL_KERNEL(3, 2);
        CELL_KERNEL(4, 3);
    default:
        return NULL;
    }
}
