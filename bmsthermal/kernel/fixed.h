/* fixed.h - the observer with the gains that it ends at: no covariance on the target.
 *
 * Text, after real.h, step.h and heat.h: once per size. Gains and variances are those of the observer of observer.h
 * after a long time at the model's own cooling with every sensor there (bmsthermal/fixed.py solves for them). They stay
 * what they are where a sensor, the heat or the surroundings are not known: what is said of the error then is too little.
 */

typedef struct {
    num_t decay[ROM_N];              /* exp(-rate step) */
    num_t drive[ROM_N];              /* change per watt held for a step */
    num_t answer[ROM_W_MAX][ROM_N];  /* change per kelvin that a wall is above its surroundings, wall after wall */
    num_t wall[ROM_W_MAX][ROM_N];    /* value of the modes at the wall */
    num_t gain[OBS_M_MAX][ROM_N];    /* change per kelvin of each innovation, sensor after sensor */
    num_t variance_K2[OBS_M_MAX];    /* of each innovation */
    num_t sense[OBS_M_MAX][ROM_N];   /* what a sensor reads: of the states */
    num_t mixed[OBS_M_MAX][ROM_W_MAX]; /* and of the surroundings */
    num_t core[ROM_N];               /* core temperature, of the states */
    num_t mean;                      /* mean temperature per unit of state 0, which is the constant mode */
    num_t reference_K;               /* temperature that the states count from */
    num_t coolant_reference_K;       /* the same on the thermometer of the coolant */
    num_t sensors;                   /* how many are fitted; OBS_M on a target */
    num_t uniform;                   /* 1 where heat reaches the constant mode alone; OBS_UNIFORM on a target */
    num_t facing;                    /* 1 where the first sensor faces the one wall; OBS_FACING on a target */
    num_t gradient_variance;         /* relative, of a temperature difference inside the cell */
    num_t core_variance_K2;          /* of the core, and of the first wall: of the filter and of every temperature */
    num_t wall_variance_K2;
#if !OBS_GIVEN
    ROM_(heat_t) heat;
#endif
} ROM_(fixed_t);

/* Value of the modes at a wall. */
ROM_INLINE real_t ROM_(fixed_at)(const ROM_(fixed_t) *m, int w, const real_t x[ROM_N])
{
    return (ROM_LEVEL && (w == 0)) ? ROM_(sum)(x) : ROM_(dot)(m->wall[w], x);
}

/* What a sensor shows: a mix of the states and of the surroundings. */
ROM_INLINE real_t ROM_(fixed_surface)(const ROM_(fixed_t) *m, int k, const real_t x[ROM_N],
                                      const real_t coolant[ROM_W_MAX])
{
    real_t mix = (OBS_FACING && (k == 0)) ? m->sense[0][0] * ROM_(sum)(x) : ROM_(dot)(m->sense[k], x);
    for (int w = 0; w < ROM_W; w++) {
        mix = mix + m->mixed[k][w] * coolant[w];
    }
    return mix;
}

/* One whole step: inputs held over it, measurements at its end. The conductances of the input are not read. */
ROM_INLINE void ROM_(fixed_observe)(const ROM_(fixed_t) *restrict m, real_t x[ROM_N], real_t *restrict soc,
                                    const ROM_(input_t) *restrict u, const real_t surface_K[OBS_M_MAX],
                                    ROM_(output_t) *restrict out)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0)), mean_K = m->reference_K + m->mean * x[0];
    real_t taken, slope, now[ROM_N], coolant[ROM_W_MAX];
    (void)ROM_(heat)(OBS_HEAT(m), *soc, mean_K, u, &taken, &out->heat_W, &slope);
    if (!OBS_GIVEN) {
        *soc = ROM_(charge)(*soc - taken);
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        now[i] = m->decay[i] * x[i];
        if (!OBS_UNIFORM || (i == 0)) {
            now[i] = now[i] + m->drive[i] * out->heat_W;
        }
    }
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) { /* surroundings that are not known are what the wall is at */
        const real_t at = ROM_(fixed_at)(m, w, now), given = u->coolant_K[w] - m->coolant_reference_K;
        const rom_test_t known = ROM_PRESENT(given);
        coolant[w] = ROM_SELECT(known, given, at);
    }
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        real_t above = ROM_(fixed_at)(m, w, now) - coolant[w];
        if (w > 0) { /* the first wall has not moved since */
            above = ROM_SELECT(ROM_PRESENT(u->coolant_K[w] - m->coolant_reference_K), above, zero);
        }
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            now[i] = now[i] - m->answer[w][i] * above;
        }
    }
    OBS_FOR
    for (int k = 0; k < OBS_M; k++) {
        const rom_test_t there = ROM_PRESENT(surface_K[k] - m->reference_K);
        const real_t off = surface_K[k] - m->reference_K - ROM_(fixed_surface)(m, k, now, coolant);
        const real_t innovation = ROM_SELECT(there, off, zero);
        out->innovation_K[k] = innovation;
        out->variance_K2[k] = ROM_SELECT(there, ROM_EACH(m->variance_K2[k]), zero);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            now[i] = now[i] + m->gain[k][i] * innovation;
        }
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        x[i] = now[i];
    }
}

/* A temperature inside (a row over the states) and its variance: what the filter ends at, and what the model itself is
   unsure of. */
ROM_INLINE void ROM_(fixed_read)(const ROM_(fixed_t) *m, const real_t x[ROM_N], const num_t row[ROM_N],
                                 num_t ends_at_K2, real_t *value_K, real_t *variance_K2)
{
    const real_t above = ROM_(dot)(row, x), gradient = above - ROM_(fixed_at)(m, 0, x);
    *value_K = m->reference_K + above;
    *variance_K2 = ends_at_K2 + m->gradient_variance * (gradient * gradient);
}
