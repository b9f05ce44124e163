/* The observer in single precision, 16 cells side by side in the registers of AVX-512. */
#include "vectors.h"

#if defined(OBS_VECTORS)
#pragma GCC target("avx512f")
#define OBS_SUPPORTED __builtin_cpu_supports("avx512f")
#define ROM_LANES 16
#define OBS_KERNELS observer_avx512_f32
#define observer_t observer_f32_t
#include "host.h"
#else
#include "kernels.h"
const observer_f32_t *observer_avx512_f32(int n, int w)
{
    (void)n, (void)w;
    return (const observer_f32_t *)0;
}
#endif
