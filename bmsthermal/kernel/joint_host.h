/* joint_host.h - the filter of joint.h for a desk: every thermal size, any states beside, called with flat rows.
 *
 * Included by one C file per precision. A state is a row of numbers in the order x, carry, ud, what the voltage tells
 * and the watch over the sensors where there are such, tally.
 */
#include <stddef.h>

#undef ROM_UNROLL /* loops have bounds that are known at run time only */
#define ROM_U 1
#define OBS_M_MAX 8
#define OBS_M ((int)m->sensors)
#define OBS_UNIFORM (m->uniform > 0)
#define OBS_FACING (m->facing > 0)
#define ROM_LEVEL (ROM_W < 3) /* with three walls some modes are 1 at another */
#define OBS_FOR
#define OBS_TABLE 65
#define JNT_H ((int)j->h_states)
#define JNT_HEAT ((int)j->heat_states)
#define JNT_LAG ((int)j->lag_states)
#define JNT_BIAS ((int)j->bias_states)
#define JNT_VOLTS 1
#define JNT_VOLTAGE (j->voltage_states > 0)
#define JNT_RULES
#define JNT_WATCH (j->rules.on > 0)
#define JNT_ROOM 36 /* 8 temperatures, 3 walls, heat, 3 of each of 8 sensors */

#include "elementary.h"
#include "kernels.h"

#define UD_ROOM JNT_ROOM
#define UD_COLUMNS (JNT_ROOM + 1)
#define UD_(name) joint_ud_##name
#include "ud.h"

#define OBS_PASTE_(modes, faces, name) joint_n##modes##w##faces##_##name
#define OBS_PASTE(modes, faces, name) OBS_PASTE_(modes, faces, name)
#define ROM_(name) OBS_PASTE(ROM_N, ROM_W, name)
#define ROM_W_MAX ROM_W
#define OBS_SIZE "joint_size.h"

#define ROM_W 1
#include "host_sizes.h"
#undef ROM_W
#define ROM_W 2
#include "host_sizes.h"
#undef ROM_W
#define ROM_W 3
#include "host_sizes.h"
#undef ROM_W

#define OBS_ROW(w)                                                                                                 \
    {&joint_n1w##w##_entry, &joint_n2w##w##_entry, &joint_n3w##w##_entry, &joint_n4w##w##_entry,                   \
     &joint_n5w##w##_entry, &joint_n6w##w##_entry, &joint_n7w##w##_entry, &joint_n8w##w##_entry}

const observer_t *OBS_KERNELS(int n, int w)
{
    static const observer_t *const built[3][8] = {OBS_ROW(1), OBS_ROW(2), OBS_ROW(3)};
    return (n < 1 || n > 8 || w < 1 || w > 3) ? (const observer_t *)0 : built[w - 1][n - 1];
}
