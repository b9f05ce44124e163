/* step_host.h - the step for a desk: every size in one table, called with flat rows of numbers.
 *
 * Included by one C file per precision. All members of a model have the type
 * num_t, so it is a row of numbers without padding.
 */
#include "real.h"
#include "steps.h"

#define STEP_PASTE_(modes, sources, walls, name) step_n##modes##u##sources##w##walls##_##name
#define STEP_PASTE(modes, sources, walls, name) STEP_PASTE_(modes, sources, walls, name)
#define ROM_(name) STEP_PASTE(ROM_N, ROM_U, ROM_W, name)
#define ROM_W_MAX ROM_W

#define ROM_U 1
#define ROM_W 1
#include "step_sizes.h"
#define ROM_U 1
#define ROM_W 2
#include "step_sizes.h"
#define ROM_U 2
#define ROM_W 1
#include "step_sizes.h"
#define ROM_U 2
#define ROM_W 2
#include "step_sizes.h"

#define STEP_OF(modes, sources, walls) &STEP_PASTE_(modes, sources, walls, kernel)
#define STEP_ROW(sources, walls)                                                                     \
    {STEP_OF(1, sources, walls), STEP_OF(2, sources, walls), STEP_OF(3, sources, walls),             \
     STEP_OF(4, sources, walls), STEP_OF(5, sources, walls), STEP_OF(6, sources, walls),             \
     STEP_OF(7, sources, walls), STEP_OF(8, sources, walls)}

const step_kernel_t *STEP_KERNELS(int n, int u, int w)
{
    static const step_kernel_t *const built[STEP_U][STEP_W][STEP_N] = {
        {STEP_ROW(1, 1), STEP_ROW(1, 2)}, {STEP_ROW(2, 1), STEP_ROW(2, 2)}};
    const int known = n >= 1 && n <= STEP_N && u >= 1 && u <= STEP_U && w >= 1 && w <= STEP_W;
    return known ? built[u - 1][w - 1][n - 1] : (const step_kernel_t *)0;
}
