/* ud_host.h - the factors for a desk: every size in one table, called with flat rows of numbers.
 *
 * Included by one C file per precision.
 */
#include "real.h"
#include "uds.h"

#define UD_PASTE_(states, name) ud_n##states##_##name
#define UD_PASTE(states, name) UD_PASTE_(states, name)
#define ROM_(name) UD_PASTE(UD_N, name)

#define UD_N 1
#include "ud_size.h"
#define UD_N 2
#include "ud_size.h"
#define UD_N 3
#include "ud_size.h"
#define UD_N 4
#include "ud_size.h"
#define UD_N 5
#include "ud_size.h"
#define UD_N 6
#include "ud_size.h"
#define UD_N 7
#include "ud_size.h"
#define UD_N 8
#include "ud_size.h"
#define UD_N 9
#include "ud_size.h"
#define UD_N 10
#include "ud_size.h"
#define UD_N 11
#include "ud_size.h"
#define UD_N 12
#include "ud_size.h"
#define UD_N 13
#include "ud_size.h"
#define UD_N 14
#include "ud_size.h"
#define UD_N 15
#include "ud_size.h"
#define UD_N 16
#include "ud_size.h"
#define UD_N 17
#include "ud_size.h"
#define UD_N 18
#include "ud_size.h"
#define UD_N 19
#include "ud_size.h"
#define UD_N 20
#include "ud_size.h"
#define UD_N 21
#include "ud_size.h"
#define UD_N 22
#include "ud_size.h"
#define UD_N 23
#include "ud_size.h"
#define UD_N 24
#include "ud_size.h"

#define UD_OF(states) &UD_PASTE_(states, kernel)

const ud_kernel_t *UD_KERNELS(int n)
{
    static const ud_kernel_t *const built[UDS_N] = {
        UD_OF(1), UD_OF(2), UD_OF(3), UD_OF(4), UD_OF(5), UD_OF(6), UD_OF(7), UD_OF(8),
        UD_OF(9), UD_OF(10), UD_OF(11), UD_OF(12), UD_OF(13), UD_OF(14), UD_OF(15), UD_OF(16),
        UD_OF(17), UD_OF(18), UD_OF(19), UD_OF(20), UD_OF(21), UD_OF(22), UD_OF(23), UD_OF(24)};
    return (n >= 1 && n <= UDS_N) ? built[n - 1] : (const ud_kernel_t *)0;
}
