/* host.h - the observer for a desk: every size in one table, called with flat rows of numbers.
 *
 * Included by one C file per precision and, with ROM_LANES, for several cells
 * at once. A model, a state, an input and an output are rows of num_t in the
 * order of their structs: all members have that type, so there is no padding.
 */
#include <stddef.h>

#include "vectors.h"

#define ROM_U 1
#define OBS_M_MAX 8
#define OBS_M ((int)m->sensors)
#define OBS_UNIFORM (m->uniform > 0)
#define OBS_FACING (m->facing > 0)
#define ROM_LEVEL (ROM_W < 3) /* with three walls some modes are 1 at another */
#define OBS_FOR /* how many sensors is known at run time only */
#define OBS_TABLE 65

/* One function per size, compiled for plain and for wider registers; the loader picks. */
#if defined(OBS_VECTORS)
#define ROM_INLINE static inline __attribute__((always_inline))
#endif
#if defined(OBS_VECTORS) && defined(__linux__) && !defined(ROM_LANES)
#define OBS_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define OBS_CLONES
#endif

#include "real.h"
#if defined(ROM_LANES)
#include "lanes.h"
#define OBS_LANES ROM_LANES
#else
#define OBS_LANES 1
#define OBS_SUPPORTED 1
#endif
#include "kernels.h"

#define OBS_PASTE_(modes, faces, name) observer_n##modes##w##faces##_##name
#define OBS_PASTE(modes, faces, name) OBS_PASTE_(modes, faces, name)
#define ROM_(name) OBS_PASTE(ROM_N, ROM_W, name)
#define ROM_W_MAX ROM_W

#define OBS_SIZE "host_size.h"
#define OBS_ROW(w)                                                                                                 \
    {&observer_n1w##w##_entry, &observer_n2w##w##_entry, &observer_n3w##w##_entry, &observer_n4w##w##_entry,       \
     &observer_n5w##w##_entry, &observer_n6w##w##_entry, &observer_n7w##w##_entry, &observer_n8w##w##_entry}

#define ROM_W 1
#include "host_sizes.h"
#undef ROM_W
#if !defined(ROM_LANES)
#define ROM_W 2
#include "host_sizes.h"
#undef ROM_W
#define ROM_W 3
#include "host_sizes.h"
#undef ROM_W
#endif

const observer_t *OBS_KERNELS(int n, int w)
{
#if defined(ROM_LANES)
    static const observer_t *const built[1][8] = {
        {0, &observer_n2w1_entry, &observer_n3w1_entry, &observer_n4w1_entry, &observer_n5w1_entry,
         &observer_n6w1_entry, 0, 0}};
#else
    static const observer_t *const built[3][8] = {OBS_ROW(1), OBS_ROW(2), OBS_ROW(3)};
#endif
    const int walls = (int)(sizeof(built) / sizeof(built[0]));
    return (n < 1 || n > 8 || w < 1 || w > walls || !OBS_SUPPORTED) ? (const observer_t *)0 : built[w - 1][n - 1];
}
