/* host.h - the observer for a desk: every size in one table, called with flat rows of numbers.
 *
 * Included by one C file per precision and, with ROM_LANES, for several cells
 * at once. A model, a state, an input and an output are rows of num_t in the
 * order of their structs: all members have that type, so there is no padding.
 */
#define ROM_U 1
#define OBS_M_MAX 8
#define OBS_M ((int)m->sensors)
#define OBS_TABLE 65

#if defined(ROM_LANES)
#define ROM_INLINE static inline __attribute__((always_inline))
#endif
#include "real.h"
#if defined(ROM_LANES)
#include "lanes.h"
#endif
#include "kernels.h"

#define OBS_PASTE_(modes, faces, name) observer_n##modes##w##faces##_##name
#define OBS_PASTE(modes, faces, name) OBS_PASTE_(modes, faces, name)
#define ROM_(name) OBS_PASTE(ROM_N, ROM_W, name)
#define ROM_W_MAX ROM_W

#define ROM_W 1
#define ROM_N 1
#include "host_size.h"
#define ROM_N 2
#include "host_size.h"
#define ROM_N 3
#include "host_size.h"
#define ROM_N 4
#include "host_size.h"
#define ROM_N 5
#include "host_size.h"
#define ROM_N 6
#include "host_size.h"
#define ROM_N 7
#include "host_size.h"
#define ROM_N 8
#include "host_size.h"
#undef ROM_W

#define ROM_W 2
#define ROM_N 1
#include "host_size.h"
#define ROM_N 2
#include "host_size.h"
#define ROM_N 3
#include "host_size.h"
#define ROM_N 4
#include "host_size.h"
#define ROM_N 5
#include "host_size.h"
#define ROM_N 6
#include "host_size.h"
#define ROM_N 7
#include "host_size.h"
#define ROM_N 8
#include "host_size.h"
#undef ROM_W

#define OBS_ROW(w)                                                                                              \
    {&observer_n1w##w##_entry, &observer_n2w##w##_entry, &observer_n3w##w##_entry, &observer_n4w##w##_entry,    \
     &observer_n5w##w##_entry, &observer_n6w##w##_entry, &observer_n7w##w##_entry, &observer_n8w##w##_entry}

/* The kernel for n states and w walls, or NULL where none was built. */
const observer_t *OBS_KERNELS(int n, int w)
{
    static const observer_t *const built[2][8] = {OBS_ROW(1), OBS_ROW(2)};
    return (n < 1 || n > 8 || w < 1 || w > 2) ? (const observer_t *)0 : built[w - 1][n - 1];
}
