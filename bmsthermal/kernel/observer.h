/* observer.h - extended Kalman filter for the temperatures inside a cell.
 *
 * Text, like step.h, which is included first: once per size, with OBS_M surface
 * sensors (OBS_M_MAX reserved) and OBS_TABLE points per table. The state is
 * owned by the caller; nothing here allocates, calls libm or keeps anything, and
 * model, state, input and output may not overlap.
 * bmsthermal/reference.py is the readable twin. Equation numbers: Simon,
 * Optimal State Estimation (2006), 13.46 to 13.49.
 */

#define OBS_P (ROM_N * (ROM_N + 1) / 2)
#define OBS_AT(i, j) (((j) <= (i)) ? ((i) * ((i) + 1) / 2 + (j)) : ((j) * ((j) + 1) / 2 + (i)))

typedef struct {
    ROM_(modal_t) modal;
    num_t decay2[OBS_P];              /* decay[i] decay[j], packed like P */
    num_t noise[ROM_N];               /* variance per step of each state by itself */
    num_t heat_variance;              /* of the heat of one step, W2 */
    num_t lost_heat_variance;         /* added when there is nothing to compute heat from, W2 */
    num_t mean;                       /* mean temperature per unit of state 0, which is the constant mode */
    num_t reference_K;                /* temperature that the states count from */
    num_t coolant_reference_K;        /* the same on the thermometer of the coolant, whose offset was calibrated */
    num_t soc_per_A;                  /* state of charge that one ampere takes in a step */
    num_t table_last;                 /* OBS_TABLE - 1 */
    num_t sensors;                    /* how many are fitted; OBS_M on a target */
    num_t uniform;                    /* 1 where heat reaches the constant mode alone; OBS_UNIFORM on a target */
    num_t gradient_variance;          /* relative, of a temperature difference inside the cell */
    num_t offset_variance;            /* of every temperature, K2: what no measurement removes */
    num_t core[ROM_N];                /* core temperature, of the states */
    num_t conductance_W_K[ROM_W_MAX]; /* h A of each wall, where the input does not give it */
    num_t open_circuit_V[OBS_TABLE];  /* against SOC 0 to 1 */
    num_t entropy_V_K[OBS_TABLE];
    num_t sense[OBS_M_MAX][ROM_N];    /* what a sensor reads: of the states */
    num_t mixed[OBS_M_MAX][ROM_W_MAX]; /* and of the surroundings */
    num_t sense_variance[OBS_M_MAX];  /* K2 */
} ROM_(model_t);

/* P is packed by rows of its lower triangle. */
typedef struct {
    real_t x[ROM_N];
    real_t P[OBS_P];
    real_t soc;
} ROM_(state_t);

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

/* Heat of the step that ends now, how it changes with the mean temperature, and its variance; what the step takes
   off the charge. x_0 is the state of the mean. */
ROM_INLINE void ROM_(heat)(const ROM_(model_t) *restrict m, real_t soc, real_t x_0,
                           const ROM_(input_t) *restrict u, real_t *taken, real_t *heat_W, real_t *slope_W_K,
                           real_t *variance_W2)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0)), last = ROM_EACH(m->table_last - ROM_NUM(1.0));
    const rom_test_t flows = ROM_PRESENT(u->current_A), given = ROM_PRESENT(u->heat_W);
    const real_t current = ROM_SELECT(flows, u->current_A, zero);

    /* both tables at the charge before the step; whatever the charge is, inside them */
    const real_t place = soc * m->table_last;
    const real_t before = ROM_SELECT(place < last, place, last);
    const rom_index_t i = ROM_INDEX(ROM_SELECT(before > ROM_NUM(0.0), before, zero));
    const real_t share = place - ROM_REAL(i);
    const real_t slope = -current * ROM_(lookup)(m->entropy_V_K, i, share);
    const real_t over = ROM_(lookup)(m->open_circuit_V, i, share) - u->voltage_V;

    *taken = m->soc_per_A * current;
    const real_t counted = soc - *taken;
    const rom_test_t inside = ROM_BOTH(counted >= ROM_NUM(0.0), counted <= ROM_NUM(1.0));

    /* I (E - V) - I T dE/dT, unless the heat itself is given. A count that leaves 0 to 1 is wrong, and so is E:
       nothing known, nothing released, but less sure of it. */
    const real_t said = current * over + slope * (m->reference_K + m->mean * x_0);
    const rom_test_t known = ROM_BOTH(ROM_PRESENT(said), ROM_BOTH(flows, inside));
    *heat_W = ROM_SELECT(given, u->heat_W, ROM_SELECT(known, said, zero));
    *slope_W_K = ROM_SELECT(given, zero, ROM_SELECT(known, slope, zero));
    *variance_W2 = ROM_SELECT(ROM_EITHER(given, known), ROM_EACH(m->heat_variance),
                              ROM_EACH(m->heat_variance + m->lost_heat_variance));
}

/* A state of charge, held inside 0 to 1. */
ROM_INLINE real_t ROM_(charge)(real_t counted)
{
    const real_t held = ROM_SELECT(counted > ROM_NUM(0.0), counted, ROM_EACH(ROM_NUM(0.0)));
    return ROM_SELECT(held < ROM_NUM(1.0), held, ROM_EACH(ROM_NUM(1.0)));
}

/* Conductances of the walls and surroundings beside the reference: surroundings that are not known, and a wall then
   exchanges nothing, are what the wall is at. */
ROM_INLINE void ROM_(around)(const ROM_(model_t) *restrict m, const ROM_(input_t) *restrict u, const real_t x[ROM_N],
                             real_t g[ROM_W_MAX], real_t coolant[ROM_W_MAX])
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        g[w] = ROM_SELECT(ROM_BOTH(ROM_PRESENT(u->conductance_W_K[w]), u->conductance_W_K[w] >= ROM_NUM(0.0)),
                          u->conductance_W_K[w], ROM_EACH(m->conductance_W_K[w]));
        coolant[w] = u->coolant_K[w] - m->coolant_reference_K;
        g[w] = ROM_SELECT(ROM_PRESENT(coolant[w]), g[w], ROM_EACH(ROM_NUM(0.0)));
        coolant[w] = ROM_SELECT(ROM_PRESENT(coolant[w]), coolant[w], ROM_(dot)(m->modal.wall[w], x));
    }
}

/* P v for a constant row v. */
ROM_INLINE void ROM_(times)(const real_t P[OBS_P], const num_t v[ROM_N], real_t Pv[ROM_N])
{
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        real_t sum = P[OBS_AT(i, 0)] * v[0];
        ROM_FOR
        for (int j = 1; j < ROM_N; j++) {
            sum = sum + P[OBS_AT(i, j)] * v[j];
        }
        Pv[i] = sum;
    }
}

/* P v for the values at a wall. The states count kelvin at the first wall: there v is all ones. With three walls
   some count kelvin at another. */
ROM_INLINE void ROM_(at_wall)(const real_t P[OBS_P], const ROM_(modal_t) *modal, int w, real_t Pv[ROM_N])
{
    if ((ROM_W > 2) || ((ROM_W > 1) && (w > 0))) {
        ROM_(times)(P, modal->wall[w], Pv);
    } else {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            real_t sum = P[OBS_AT(i, 0)];
            ROM_FOR
            for (int j = 1; j < ROM_N; j++) {
                sum = sum + P[OBS_AT(i, j)];
            }
            Pv[i] = sum;
        }
    }
}

/* Close one more wall: P <- W P W' with W = 1 - answer gain wall', one symmetric pass of rank two. */
ROM_INLINE void ROM_(shed)(const ROM_(modal_t) *modal, const ROM_(walls_t) *walls, int w, real_t P[OBS_P])
{
    real_t v[ROM_N], b[ROM_N];
    ROM_(at_wall)(P, modal, w, b);
    const real_t half = ROM_NUM(0.5) * walls->gain[w] * ROM_(dot)(modal->wall[w], b);
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        v[i] = walls->answer[w][i] * walls->gain[w];
        b[i] = b[i] - walls->answer[w][i] * half;
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        ROM_FOR
        for (int j = 0; j <= i; j++) {
            P[OBS_AT(i, j)] = P[OBS_AT(i, j)] - (v[i] * b[j] + b[i] * v[j]);
        }
    }
}

/* Time update. F = W (diag(decay) + d v'): d = drive, v = slope of the heat, W = the opening of the walls. */
ROM_INLINE void ROM_(predict)(const ROM_(model_t) *restrict m, ROM_(state_t) *restrict s,
                              const ROM_(input_t) *restrict u, real_t coolant[ROM_W_MAX], real_t *heat_W)
{
    const ROM_(modal_t) *modal = &m->modal;
    const num_t *d = modal->drive[0];
    real_t taken, slope, variance, source[ROM_U], g[ROM_W_MAX], a[ROM_N];
    ROM_(walls_t) walls;

    ROM_(heat)(m, s->soc, s->x[0], u, &taken, heat_W, &slope, &variance);
    s->soc = ROM_(charge)(s->soc - taken);
    slope = slope * m->mean;

    /* P* = D P D + a d' + d a' + noise,  a = D P v + d (v' P v + variance) / 2,  v = slope e_0: only the mean heats */
    const real_t half = ROM_NUM(0.5) * (slope * slope * s->P[0] + variance);
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        a[i] = modal->decay[i] * (slope * s->P[OBS_AT(i, 0)]) + d[i] * half;
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        ROM_FOR
        for (int j = 0; j <= i; j++) {
            s->P[OBS_AT(i, j)] = m->decay2[OBS_AT(i, j)] * s->P[OBS_AT(i, j)];
        }
        s->P[OBS_AT(i, i)] = s->P[OBS_AT(i, i)] + m->noise[i];
    }
    if (OBS_UNIFORM) { /* d = d_0 e_0: one row changes */
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            s->P[OBS_AT(i, 0)] = s->P[OBS_AT(i, 0)] + (a[i] * d[0] + d[i] * a[0]);
        }
    } else {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            ROM_FOR
            for (int j = 0; j <= i; j++) {
                s->P[OBS_AT(i, j)] = s->P[OBS_AT(i, j)] + (a[i] * d[j] + d[i] * a[j]);
            }
        }
    }
    source[0] = *heat_W;
    ROM_(drive)(modal, s->x, source);
    ROM_(around)(m, u, s->x, g, coolant);
    ROM_(open)(modal, g, &walls);
    ROM_(exchange)(modal, &walls, s->x, coolant);
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        ROM_(shed)(modal, &walls, w, s->P);
    }
}

/* What a sensor shows: a mix of the states and of the surroundings. */
ROM_INLINE real_t ROM_(surface)(const ROM_(model_t) *m, int k, const real_t x[ROM_N],
                                   const real_t coolant[ROM_W_MAX])
{
    real_t mix = ROM_(dot)(m->sense[k], x);
    for (int w = 0; w < ROM_W; w++) {
        mix = mix + m->mixed[k][w] * coolant[w];
    }
    return mix;
}

/* Measurement update with one scalar sensor after another; an absent one changes nothing. */
ROM_INLINE void ROM_(update)(const ROM_(model_t) *restrict m, ROM_(state_t) *restrict s,
                             const real_t coolant[ROM_W_MAX], const real_t surface_K[OBS_M_MAX],
                             ROM_(output_t) *restrict out)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    OBS_FOR
    for (int k = 0; k < OBS_M; k++) {
        real_t Pc[ROM_N];
        const real_t z = surface_K[k] - m->reference_K;
        const real_t expected = ROM_(surface)(m, k, s->x, coolant);
        ROM_(times)(s->P, m->sense[k], Pc);
        /* S = c'Pc + R, never below R: rounding cannot turn the filter round */
        real_t prior = ROM_(dot)(m->sense[k], Pc);
        prior = ROM_SELECT(prior > ROM_NUM(0.0), prior, zero);
        const real_t S = prior + m->sense_variance[k];
        const real_t innovation = ROM_SELECT(ROM_PRESENT(z), z - expected, zero);
        const real_t weight = ROM_SELECT(ROM_PRESENT(z), ROM_NUM(1.0) / S, zero);
        const real_t pull = weight * innovation;
        out->innovation_K[k] = innovation;
        out->variance_K2[k] = ROM_SELECT(ROM_PRESENT(z), S, zero);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            const real_t gain = weight * Pc[i];
            s->x[i] = s->x[i] + Pc[i] * pull;
            ROM_FOR
            for (int j = 0; j <= i; j++) {
                s->P[OBS_AT(i, j)] = s->P[OBS_AT(i, j)] - gain * Pc[j];
            }
        }
    }
}

/* One whole step: inputs held over it, measurements at its end. */
ROM_INLINE void ROM_(observe)(const ROM_(model_t) *restrict m, ROM_(state_t) *restrict s,
                              const ROM_(input_t) *restrict u, const real_t surface_K[OBS_M_MAX],
                              ROM_(output_t) *restrict out)
{
    real_t coolant[ROM_W_MAX];
    ROM_(predict)(m, s, u, coolant, &out->heat_W);
    ROM_(update)(m, s, coolant, surface_K, out);
}

/* A temperature (a row over the states) and its variance: the filter's, and what the model itself is unsure of. */
ROM_INLINE void ROM_(read)(const ROM_(model_t) *m, const ROM_(state_t) *s, const num_t row[ROM_N], real_t *value_K,
                           real_t *variance_K2)
{
    real_t Pr[ROM_N];
    const real_t above = ROM_(dot)(row, s->x);
    const real_t gradient = above - ROM_(dot)(m->modal.wall[0], s->x);
    ROM_(times)(s->P, row, Pr);
    *value_K = m->reference_K + above;
    *variance_K2 = ROM_(dot)(row, Pr) + m->gradient_variance * (gradient * gradient) + m->offset_variance;
}

#undef OBS_P
#undef OBS_AT
