/* observer.h - extended Kalman filter for the temperatures inside a cell.
 *
 * Text, like step.h and heat.h, which are included first: once per size. The state is
 * owned by the caller; nothing here allocates, calls libm or keeps anything, and
 * model, state, input and output may not overlap.
 * bmsthermal/reference.py is the readable twin. Equation numbers: Simon,
 * Optimal State Estimation (2006), 13.46 to 13.49.
 */

#define OBS_P (ROM_N * (ROM_N + 1) / 2)
#define OBS_AT(i, j) (((j) <= (i)) ? ((i) * ((i) + 1) / 2 + (j)) : ((j) * ((j) + 1) / 2 + (i)))

typedef struct {
    ROM_(modal_t) modal;
    num_t noise[ROM_N];               /* variance per step of each state by itself */
    num_t heat_variance;              /* of the heat of one step, W2 */
    num_t lost_heat_variance;         /* added when there is nothing to compute heat from, W2 */
    num_t mean;                       /* mean temperature per unit of state 0, which is the constant mode */
    num_t reference_K;                /* temperature that the states count from */
    num_t coolant_reference_K;        /* the same on the thermometer of the coolant, whose offset was calibrated */
    num_t sensors;                    /* how many are fitted; OBS_M on a target */
    num_t uniform;                    /* 1 where heat reaches the constant mode alone; OBS_UNIFORM on a target */
    num_t facing;                     /* 1 where the first sensor faces the one wall; OBS_FACING on a target */
    num_t gradient_variance;          /* relative, of a temperature difference inside the cell */
    num_t offset_variance;            /* of every temperature, K2: what no measurement removes */
    num_t core[ROM_N];                /* core temperature, of the states */
    num_t conductance_W_K[ROM_W_MAX]; /* h A of each wall, where the input does not give it */
    num_t sense[OBS_M_MAX][ROM_N];    /* what a sensor reads: of the states */
    num_t mixed[OBS_M_MAX][ROM_W_MAX]; /* and of the surroundings */
    num_t sense_variance[OBS_M_MAX];  /* K2 */
#if !OBS_GIVEN
    ROM_(heat_t) heat;
#endif
} ROM_(model_t);

/* P is packed by rows of its lower triangle. */
typedef struct {
    real_t x[ROM_N];
    real_t P[OBS_P];
    real_t soc;
} ROM_(state_t);

/* What each sensor's innovation does to the states, and its variance. */
typedef struct {
    real_t gain[OBS_M_MAX][ROM_N];
    real_t variance_K2[OBS_M_MAX];
} ROM_(gains_t);

/* Heat for a step, walls insulated: uniform heat is the business of the constant mode. */
ROM_INLINE void ROM_(warm)(const ROM_(model_t) *restrict m, real_t x[ROM_N], real_t heat_W)
{
    if (OBS_UNIFORM) {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            x[i] = m->modal.decay[i] * x[i];
        }
        x[0] = x[0] + m->modal.drive[0][0] * heat_W;
    } else {
        real_t source[ROM_U];
        source[0] = heat_W;
        ROM_(drive)(&m->modal, x, source);
    }
}

/* Conductances of the walls and surroundings beside the reference: surroundings that are not known, and a wall then
   exchanges nothing, are what the wall is at. */
ROM_INLINE void ROM_(around)(const ROM_(model_t) *restrict m, const ROM_(input_t) *restrict u, const real_t x[ROM_N],
                             real_t g[ROM_W_MAX], real_t coolant[ROM_W_MAX])
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        g[w] = ROM_EACH(m->conductance_W_K[w]);
        if (!OBS_GIVEN) {
            const real_t told = u->conductance_W_K[w];
            g[w] = ROM_SELECT(ROM_BOTH(told >= ROM_NUM(0.0), told < ROM_HUGE), told, g[w]);
        }
        coolant[w] = u->coolant_K[w] - m->coolant_reference_K;
        const rom_test_t known = ROM_PRESENT(coolant[w]);
        g[w] = ROM_SELECT(known, g[w], ROM_EACH(ROM_NUM(0.0)));
        coolant[w] = ROM_SELECT(known, coolant[w], ROM_(at)(&m->modal, w, x));
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

/* P v for the values at a wall. */
ROM_INLINE void ROM_(at_wall)(const real_t P[OBS_P], const ROM_(modal_t) *modal, int w, real_t Pv[ROM_N])
{
    if (ROM_LEVEL && (w == 0)) {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            real_t sum = P[OBS_AT(i, 0)];
            ROM_FOR
            for (int j = 1; j < ROM_N; j++) {
                sum = sum + P[OBS_AT(i, j)];
            }
            Pv[i] = sum;
        }
    } else {
        ROM_(times)(P, modal->wall[w], Pv);
    }
}

/* A copy of a covariance. */
ROM_INLINE void ROM_(take)(real_t to[OBS_P], const real_t from[OBS_P])
{
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        ROM_FOR
        for (int j = 0; j <= i; j++) {
            to[OBS_AT(i, j)] = from[OBS_AT(i, j)];
        }
    }
}

/* Covariance over a step, insulated: P* = F P F' + variance d d' + noise,  F = diag(decay) + d v', d = drive,
   v = slope e_0: only the mean heats. */
ROM_INLINE void ROM_(fade)(const ROM_(model_t) *restrict m, real_t P[OBS_P], real_t slope, real_t variance)
{
    const num_t *decay = m->modal.decay, *d = m->modal.drive[0];
    real_t a[ROM_N];
    if (OBS_UNIFORM) { /* d = d_0 e_0: F is diagonal */
        const real_t first = decay[0] + d[0] * slope;
        P[0] = first * first * P[0] + d[0] * d[0] * variance;
        ROM_FOR
        for (int i = 1; i < ROM_N; i++) {
            P[OBS_AT(i, 0)] = decay[i] * (first * P[OBS_AT(i, 0)]);
        }
    } else { /* D P D + a d' + d a',  a = D P v + d (v' P v + variance) / 2 */
        const real_t half = ROM_NUM(0.5) * (slope * slope * P[0] + variance);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            a[i] = decay[i] * (slope * P[OBS_AT(i, 0)]) + d[i] * half;
        }
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            P[OBS_AT(i, 0)] = decay[0] * (decay[i] * P[OBS_AT(i, 0)]) + (a[i] * d[0] + d[i] * a[0]);
        }
    }
    ROM_FOR
    for (int i = 1; i < ROM_N; i++) {
        ROM_FOR
        for (int j = 1; j <= i; j++) {
            P[OBS_AT(i, j)] = decay[j] * (decay[i] * P[OBS_AT(i, j)]);
            if (!OBS_UNIFORM) {
                P[OBS_AT(i, j)] = P[OBS_AT(i, j)] + (a[i] * d[j] + d[i] * a[j]);
            }
        }
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        P[OBS_AT(i, i)] = P[OBS_AT(i, i)] + m->noise[i];
    }
}

/* Close one more wall: P <- W P W' with W = 1 - answer gain wall', one symmetric pass of rank two. */
ROM_INLINE void ROM_(shed)(const ROM_(modal_t) *modal, const ROM_(walls_t) *walls, int w, real_t P[OBS_P])
{
    real_t v[ROM_N], b[ROM_N];
    ROM_(at_wall)(P, modal, w, b);
    const real_t half = ROM_NUM(0.5) * walls->gain[w] * ROM_(at)(modal, w, b);
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

/* One scalar sensor: P <- P - P c' c P / S, S = c P c' + R, never below R: rounding cannot turn the filter round. */
ROM_INLINE void ROM_(learn)(const ROM_(model_t) *restrict m, int k, rom_test_t there, real_t P[OBS_P],
                            ROM_(gains_t) *restrict gains)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    real_t Pc[ROM_N], *gain = gains->gain[k];
    ROM_(times)(P, m->sense[k], Pc);
    real_t prior = ROM_(dot)(m->sense[k], Pc);
    prior = ROM_SELECT(prior > ROM_NUM(0.0), prior, zero);
    const real_t S = prior + m->sense_variance[k];
    const real_t weight = ROM_SELECT(there, ROM_NUM(1.0) / S, zero);
    gains->variance_K2[k] = S;
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        gain[i] = weight * Pc[i];
        ROM_FOR
        for (int j = 0; j <= i; j++) {
            P[OBS_AT(i, j)] = P[OBS_AT(i, j)] - gain[i] * Pc[j];
        }
    }
}

/* The one wall and the sensor that faces it in one pass. With b = P 1, s = 1'b, v = answer gain and q = b - s v, W P W' is
   P - b b'/s + q q'/s: what is known once the wall is known, and what the wall is unsure of. A reading leaves R/S of
   that. Both terms are positive, and the first is no more than P. */
ROM_INLINE void ROM_(face)(const ROM_(model_t) *restrict m, const ROM_(walls_t) *walls, rom_test_t there,
                           real_t P[OBS_P], ROM_(gains_t) *restrict gains)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0)), one = ROM_EACH(ROM_NUM(1.0)), gain = walls->gain[0];
    real_t b[ROM_N], q[ROM_N];
    ROM_(at_wall)(P, &m->modal, 0, b);
    real_t s = ROM_(sum)(b);
    s = ROM_SELECT(s > m->noise[0], s, ROM_EACH(m->noise[0])); /* a step adds that: rounding cannot turn it round */
    const real_t share = m->sense[0][0] * (one - gain * ROM_(sum)(walls->answer[0])), S = share * share * s + m->sense_variance[0];
    const real_t both = one / (s * S), per_S = s * both, per_s = S * both;
    const real_t left = ROM_SELECT(there, m->sense_variance[0] * both, per_s);
    const real_t seen = ROM_SELECT(there, share * per_S, zero);
    const real_t pull = gain * s;
    gains->variance_K2[0] = S;
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        q[i] = b[i] - walls->answer[0][i] * pull;
        gains->gain[0][i] = seen * q[i];
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        const real_t b_s = b[i] * per_s, q_s = q[i] * left;
        ROM_FOR
        for (int j = 0; j <= i; j++) {
            P[OBS_AT(i, j)] = (P[OBS_AT(i, j)] - b_s * b[j]) + q_s * q[j];
        }
    }
}

/* Covariance over a whole step, and the gains of the sensors that are there at its end. It works on a copy: the
   compiler then keeps it in registers. */
ROM_INLINE void ROM_(covary)(const ROM_(model_t) *restrict m, real_t P[OBS_P], real_t slope_W_K, real_t variance_W2,
                             const ROM_(walls_t) *walls, const rom_test_t there[OBS_M_MAX],
                             ROM_(gains_t) *restrict gains)
{
    real_t C[OBS_P];
    ROM_(take)(C, P);
    ROM_(fade)(m, C, slope_W_K * m->mean, variance_W2);
    if (OBS_FACING) {
        ROM_(face)(m, walls, there[0], C, gains);
    } else {
        ROM_FOR
        for (int w = 0; w < ROM_W; w++) {
            ROM_(shed)(&m->modal, walls, w, C);
        }
    }
    OBS_FOR
    for (int k = OBS_FACING ? 1 : 0; k < OBS_M; k++) {
        ROM_(learn)(m, k, there[k], C, gains);
    }
    ROM_(take)(P, C);
}

/* What a sensor shows: a mix of the states and of the surroundings. */
ROM_INLINE real_t ROM_(surface)(const ROM_(model_t) *m, int k, const real_t x[ROM_N],
                                   const real_t coolant[ROM_W_MAX])
{
    real_t mix = (OBS_FACING && (k == 0)) ? m->sense[0][0] * ROM_(sum)(x) : ROM_(dot)(m->sense[k], x);
    for (int w = 0; w < ROM_W; w++) {
        mix = mix + m->mixed[k][w] * coolant[w];
    }
    return mix;
}

/* States by one scalar sensor after another; an absent one changes nothing. */
ROM_INLINE void ROM_(correct)(const ROM_(model_t) *restrict m, real_t x[ROM_N], const real_t coolant[ROM_W_MAX],
                              const real_t surface_K[OBS_M_MAX], const rom_test_t there[OBS_M_MAX],
                              const ROM_(gains_t) *restrict gains, ROM_(output_t) *restrict out)
{
    OBS_FOR
    for (int k = 0; k < OBS_M; k++) {
        const real_t off = surface_K[k] - m->reference_K - ROM_(surface)(m, k, x, coolant);
        const real_t innovation = ROM_SELECT(there[k], off, ROM_EACH(ROM_NUM(0.0)));
        out->innovation_K[k] = innovation;
        out->variance_K2[k] = ROM_SELECT(there[k], gains->variance_K2[k], ROM_EACH(ROM_NUM(0.0)));
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            x[i] = x[i] + gains->gain[k][i] * innovation;
        }
    }
}

/* Temperatures and charge over a step, and what the covariance needs to know of it. */
ROM_INLINE void ROM_(predict)(const ROM_(model_t) *restrict m, real_t x[ROM_N], real_t *restrict soc,
                              const ROM_(input_t) *restrict u, ROM_(walls_t) *walls, real_t coolant[ROM_W_MAX],
                              real_t *heat_W, real_t *slope_W_K, real_t *variance_W2)
{
    const real_t mean_K = m->reference_K + m->mean * x[0];
    real_t taken, g[ROM_W_MAX], now[ROM_N];
    const rom_test_t known = ROM_(heat)(OBS_HEAT(m), *soc, mean_K, u, &taken, heat_W, slope_W_K);
    *variance_W2 = m->heat_variance + ROM_SELECT(known, ROM_EACH(ROM_NUM(0.0)), ROM_EACH(m->lost_heat_variance));
    if (!OBS_GIVEN) {
        *soc = ROM_(charge)(*soc - taken);
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        now[i] = x[i];
    }
    ROM_(warm)(m, now, *heat_W);
    ROM_(around)(m, u, now, g, coolant);
    ROM_(open)(&m->modal, g, walls);
    ROM_(exchange)(&m->modal, walls, now, coolant);
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        x[i] = now[i];
    }
}

/* Which sensors are there. */
ROM_INLINE void ROM_(look_for)(const ROM_(model_t) *m, const real_t surface_K[OBS_M_MAX], rom_test_t there[OBS_M_MAX])
{
    OBS_FOR
    for (int k = 0; k < OBS_M; k++) {
        there[k] = ROM_PRESENT(surface_K[k] - m->reference_K);
    }
}

/* One whole step: inputs held over it, measurements at its end. */
ROM_INLINE void ROM_(observe)(const ROM_(model_t) *restrict m, real_t x[ROM_N], real_t P[OBS_P],
                              real_t *restrict soc, const ROM_(input_t) *restrict u,
                              const real_t surface_K[OBS_M_MAX], ROM_(output_t) *restrict out)
{
    real_t slope, variance, coolant[ROM_W_MAX];
    rom_test_t there[OBS_M_MAX];
    ROM_(walls_t) walls;
    ROM_(gains_t) gains;
    ROM_(predict)(m, x, soc, u, &walls, coolant, &out->heat_W, &slope, &variance);
    ROM_(look_for)(m, surface_K, there);
    ROM_(covary)(m, P, slope, variance, &walls, there, &gains);
    ROM_(correct)(m, x, coolant, surface_K, there, &gains, out);
}

/* row' P row. */
ROM_INLINE real_t ROM_(spread)(const real_t P[OBS_P], const num_t row[ROM_N])
{
    real_t sum = ROM_EACH(ROM_NUM(0.0));
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        real_t half = ROM_NUM(0.5) * row[i] * P[OBS_AT(i, i)];
        ROM_FOR
        for (int j = 0; j < i; j++) {
            half = half + row[j] * P[OBS_AT(i, j)];
        }
        sum = sum + row[i] * half;
    }
    return sum + sum;
}

/* A temperature inside (a row over the states) and its variance: the filter's, and what the model itself is unsure of. */
ROM_INLINE void ROM_(read)(const ROM_(model_t) *m, const real_t x[ROM_N], const real_t P[OBS_P],
                           const num_t row[ROM_N], real_t *value_K, real_t *variance_K2)
{
    const real_t above = ROM_(dot)(row, x), gradient = above - ROM_(at)(&m->modal, 0, x);
    *value_K = m->reference_K + above;
    *variance_K2 = ROM_(spread)(P, row) + m->gradient_variance * (gradient * gradient) + m->offset_variance;
}

/* That of the first wall, which has no gradient. */
ROM_INLINE void ROM_(read_wall)(const ROM_(model_t) *m, const real_t x[ROM_N], const real_t P[OBS_P], real_t *value_K,
                                real_t *variance_K2)
{
    if (ROM_LEVEL) {
        real_t twice = ROM_EACH(ROM_NUM(0.0)), once = P[0];
        ROM_FOR
        for (int i = 1; i < ROM_N; i++) {
            once = once + P[OBS_AT(i, i)];
            ROM_FOR
            for (int j = 0; j < i; j++) {
                twice = twice + P[OBS_AT(i, j)];
            }
        }
        *variance_K2 = once + (twice + twice) + m->offset_variance;
    } else {
        *variance_K2 = ROM_(spread)(P, m->modal.wall[0]) + m->offset_variance;
    }
    *value_K = m->reference_K + ROM_(at)(&m->modal, 0, x);
}
