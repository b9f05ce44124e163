/* shared.h - many cells of one kind, of which the first stands for all: one covariance, and the gains that it gives.
 *
 * Text, after observer.h: once per size. For cells of one kind in one current and one cooling, whose covariances would
 * be the same. A sensor that any of the cells has counts as there for the covariance; in a cell that has not, it
 * changes nothing, and the covariance says too little of that cell. Where all have theirs, the first cell is what it
 * would be alone, to the last bit.
 */

/* The first cell, with the covariance. surface_K is that of all cells, one after another. */
ROM_INLINE void ROM_(observe_first)(const ROM_(model_t) *restrict m, real_t x[ROM_N], real_t P[OBS_P],
                                    real_t *restrict soc, const ROM_(input_t) *restrict u, const real_t *surface_K,
                                    int cells, ROM_(gains_t) *gains, ROM_(output_t) *restrict out)
{
    real_t slope, variance, coolant[ROM_W_MAX];
    rom_test_t there[OBS_M_MAX], any[OBS_M_MAX], other[OBS_M_MAX];
    ROM_(walls_t) walls;
    ROM_(predict)(m, x, soc, u, &walls, coolant, &out->heat_W, &slope, &variance);
    ROM_(look_for)(m, surface_K, there);
    for (int k = 0; k < OBS_M; k++) {
        any[k] = there[k];
    }
    for (int cell = 1; cell < cells; cell++) {
        ROM_(look_for)(m, surface_K + cell * OBS_M, other);
        for (int k = 0; k < OBS_M; k++) {
            any[k] = ROM_EITHER(any[k], other[k]);
        }
    }
    ROM_(covary)(m, P, slope, variance, &walls, any, gains);
    ROM_(correct)(m, x, coolant, surface_K, there, gains, out);
}

/* One of the others. */
ROM_INLINE void ROM_(observe_other)(const ROM_(model_t) *restrict m, real_t x[ROM_N], real_t *restrict soc,
                                    const ROM_(input_t) *restrict u, const real_t surface_K[OBS_M_MAX],
                                    const ROM_(gains_t) *gains, ROM_(output_t) *restrict out)
{
    real_t slope, variance, coolant[ROM_W_MAX];
    rom_test_t there[OBS_M_MAX];
    ROM_(walls_t) walls;
    ROM_(predict)(m, x, soc, u, &walls, coolant, &out->heat_W, &slope, &variance);
    ROM_(look_for)(m, surface_K, there);
    ROM_(correct)(m, x, coolant, surface_K, there, gains, out);
}
