/* heat.h - what goes into a step and what comes out of it, and the heat that current and voltage release.
 *
 * Text: once per size, after step.h, with ROM_N and ROM_W as there, OBS_M sensors (OBS_M_MAX of them reserved) and
 * OBS_TABLE points of a table. bmsthermal/heat.py is its readable twin. OBS_GIVEN 1 leaves current and voltage out: the
 * caller knows the heat.
 */

#if !defined(OBS_GIVEN)
#define OBS_GIVEN 0
#endif
#if OBS_GIVEN
#define OBS_HEAT(m) ((const ROM_(heat_t) *)0) /* not read */
#else
#define OBS_HEAT(m) (&(m)->heat)
#endif

typedef struct {
    num_t soc_per_A;                 /* state of charge that one ampere takes in a step */
    num_t table_last;                /* OBS_TABLE - 1 */
    num_t open_circuit_V[OBS_TABLE]; /* against SOC 0 to 1 */
    num_t entropy_V_K[OBS_TABLE];
} ROM_(heat_t);

/* NaN where absent. */
typedef struct {
    real_t current_A; /* positive discharges */
    real_t voltage_V;
    real_t heat_W;    /* where given, it replaces what current and voltage say */
    real_t coolant_K[ROM_W_MAX];
    real_t conductance_W_K[ROM_W_MAX];
} ROM_(input_t);

typedef struct {
    real_t heat_W;
    real_t innovation_K[OBS_M_MAX]; /* 0 where the sensor is absent */
    real_t variance_K2[OBS_M_MAX];  /* of the innovation; 0 where the sensor is absent */
} ROM_(output_t);

/* A table, linear between its points; i and share say between which two and where. */
ROM_INLINE real_t ROM_(lookup)(const num_t table[OBS_TABLE], rom_index_t i, real_t share)
{
    const real_t low = ROM_AT(table, i);
    return low + share * (ROM_AT(table + 1, i) - low);
}

/* A state of charge, held inside 0 to 1. */
ROM_INLINE real_t ROM_(charge)(real_t counted)
{
    const real_t held = ROM_SELECT(counted > ROM_NUM(0.0), counted, ROM_EACH(ROM_NUM(0.0)));
    return ROM_SELECT(held < ROM_NUM(1.0), held, ROM_EACH(ROM_NUM(1.0)));
}

/* Heat of the step that ends now and how it changes with the mean temperature; what the step takes off the charge.
   Returns whether anybody knew.

   I (E - V) - I T dE/dT, unless the heat itself is given. A count that leaves 0 to 1 is wrong, and so is E: nothing
   known, nothing released. */
ROM_INLINE rom_test_t ROM_(heat)(const ROM_(heat_t) *restrict h, real_t soc, real_t mean_K,
                                 const ROM_(input_t) *restrict u, real_t *taken, real_t *heat_W, real_t *slope_W_K)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    const rom_test_t given = ROM_PRESENT(u->heat_W);
#if OBS_GIVEN
    (void)h;
    (void)soc;
    (void)mean_K;
    *taken = zero;
    *slope_W_K = zero;
    *heat_W = ROM_SELECT(given, u->heat_W, zero);
    return given;
#else
    const real_t last = ROM_EACH(h->table_last - ROM_NUM(1.0));
    const rom_test_t flows = ROM_PRESENT(u->current_A);
    const real_t current = ROM_SELECT(flows, u->current_A, zero);

    /* both tables at the charge before the step; whatever the charge is, inside them */
    const real_t place = soc * h->table_last;
    const real_t before = ROM_SELECT(place < last, place, last);
    const rom_index_t i = ROM_INDEX(ROM_SELECT(before > ROM_NUM(0.0), before, zero));
    const real_t share = place - ROM_REAL(i);
    const real_t slope = -current * ROM_(lookup)(h->entropy_V_K, i, share);
    const real_t over = ROM_(lookup)(h->open_circuit_V, i, share) - u->voltage_V;
    const real_t said = current * over + slope * mean_K;

    *taken = h->soc_per_A * current;
    const real_t counted = soc - *taken;
    const rom_test_t inside = ROM_BOTH(counted >= ROM_NUM(0.0), counted <= ROM_NUM(1.0));
    const rom_test_t known = ROM_BOTH(ROM_BOTH(said > -ROM_HUGE, said < ROM_HUGE), ROM_BOTH(flows, inside));
    *heat_W = ROM_SELECT(given, u->heat_W, ROM_SELECT(known, said, zero));
    *slope_W_K = ROM_SELECT(given, zero, ROM_SELECT(known, slope, zero));
    return ROM_EITHER(given, known);
#endif
}
