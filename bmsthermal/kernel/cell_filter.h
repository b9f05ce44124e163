/* cell_filter.h - Kalman filter on the reduced cell: surfaces and the voltage correct temperature, charge, resistance
 * (bmsthermal.reduced.filter is its readable twin, and says what the last two states are).
 *
 *   lithium | salt | negative | positive | thermal | resistance | voltage error
 *
 * Slopes are differences: the cell is stepped from where it is thought to be, and a reach beside that along each state
 * that its voltage depends on, along the mean temperature and the current. A reach is long enough that single precision
 * resolves it. What is linear by itself (conduction, lithium, the last two states) is written out. One row of slopes
 * serves both corrections by a voltage: the second makes up for what the first one's straight line missed.
 *
 * Text: include it once per size, after elementary.h, step.h, cell.h and ud.h, with CFL_SALT, CFL_NEGATIVE,
 * CFL_POSITIVE and CFL_THERMAL states in use, CFL_M surface sensors (CFL_M_MAX reserved), and CFL_ROOM for states
 * (CFL_N on a target). UD_COLUMNS is CFL_G or more. The caller owns the state; nothing overlaps.
 */

#define CFL_T (1 + CFL_SALT + CFL_NEGATIVE + CFL_POSITIVE) /* first thermal state */
#define CFL_R (CFL_T + CFL_THERMAL)                        /* resistance */
#define CFL_E (CFL_R + 1)                                  /* voltage error */
#define CFL_N (CFL_R + 2)
#define CFL_G (4 + CFL_THERMAL) /* noise: current, heat, each thermal state, resistance, voltage error */

typedef struct {
    num_t salt_states, negative_states, positive_states, thermal_states; /* CFL_SALT and so on */
    num_t sensors;             /* how many are fitted; CFL_M on a target */
    num_t empty, window;       /* filling of the negative particles at SOC 0, and what it rises by up to SOC 1 */
    num_t coolant_reference_K; /* temperature that states count from, on the thermometer of the coolant */
    num_t most_A;              /* a current beyond is none */
    num_t current_variance;    /* A2 */
    num_t lost_variance;       /* A2, of what may flow while the current is missing */
    num_t heat_variance;       /* W2, of the heat of one step */
    num_t freezing;            /* K2, that a step adds to each thermal state */
    num_t resistance_fresh;    /* that a step adds to the resistance, relative to the square of the cell's own */
    num_t error_keep;          /* share of the voltage error that a step leaves */
    num_t error_fresh;         /* V2, that comes in */
    num_t voltage_variance;    /* V2 */
    num_t drop;                /* noise of the voltage, relative to what it drops by */
    num_t sense_variance;      /* K2 */
    num_t gradient_variance;   /* relative, of a temperature difference inside the cell */
    num_t offset_variance;     /* K2, of every temperature: what no measurement removes */
    num_t reach[CFL_ROOM];     /* of the differences: each state before the thermal ones, mean temperature, current */
    num_t sense[CFL_M_MAX][ROM_N];      /* what a sensor reads: of the thermal states */
    num_t mixed[CFL_M_MAX][ROM_W_MAX];  /* and of the surroundings */
    ROM_(cell_use_t) use;
    ROM_(cell_t) cell;
} ROM_(filter_t);

/* NaN where absent. The voltage is that at the begin of the step, under the current that holds over it. */
typedef struct {
    real_t current_A; /* positive discharges */
    real_t voltage_V;
    real_t coolant_K[ROM_W_MAX];
} ROM_(filter_input_t);

/* Innovations and their variances are 0 where the reading was absent. */
typedef struct {
    real_t heat_W;
    real_t voltage_innovation_V, voltage_variance_V2;
    real_t innovation_K[CFL_M_MAX], variance_K2[CFL_M_MAX];
} ROM_(filter_output_t);

/* A step of the cell alone. */
typedef struct {
    real_t after[CFL_ROOM]; /* states, but the last two */
    real_t carry;           /* of the lithium */
    real_t voltage_V, heat_W;
} ROM_(ahead_t);

/* Slopes of voltage, heat and the states after the step: with each state, and with the current. */
typedef struct {
    real_t voltage[CFL_ROOM], heat[CFL_ROOM], F[CFL_ROOM * CFL_ROOM];
    real_t voltage_by_A, by_A[CFL_ROOM];
    real_t warm[ROM_N]; /* what a watt over the step does to the thermal states */
} ROM_(linear_t);

/* Step the cell from x. Not inline: a filter's step does it many times. */
static void ROM_(look)(const ROM_(filter_t) *m, const ROM_(walls_t) *walls, const real_t *x, real_t carry,
                       real_t current, const real_t coolant[ROM_W_MAX], ROM_(ahead_t) *ahead)
{
    const real_t zero = ROM_NUM(0.0);
    const real_t *salt = x + 1, *negative = salt + CFL_SALT, *positive = negative + CFL_NEGATIVE;
    ROM_(cell_state_t) s;
    ROM_(cell_out_t) found;
    s.lithium = x[0];
    s.carry = carry;
    for (int i = 0; i < CELL_S; i++) {
        s.salt[i] = (i < CFL_SALT) ? salt[i] : zero;
    }
    for (int i = 0; i < CELL_M; i++) {
        s.negative[i] = (i < CFL_NEGATIVE) ? negative[i] : zero;
        s.positive[i] = (i < CFL_POSITIVE) ? positive[i] : zero;
    }
    for (int i = 0; i < ROM_N; i++) {
        s.thermal[i] = (i < CFL_THERMAL) ? x[CFL_T + i] : zero;
    }
    ROM_(cell_step)(&m->cell, &m->use, walls, &s, current, coolant, &found);
    ahead->after[0] = s.lithium;
    for (int i = 0; i < CFL_SALT; i++) {
        ahead->after[1 + i] = s.salt[i];
    }
    for (int i = 0; i < CFL_NEGATIVE; i++) {
        ahead->after[1 + CFL_SALT + i] = s.negative[i];
    }
    for (int i = 0; i < CFL_POSITIVE; i++) {
        ahead->after[1 + CFL_SALT + CFL_NEGATIVE + i] = s.positive[i];
    }
    for (int i = 0; i < CFL_THERMAL; i++) {
        ahead->after[CFL_T + i] = s.thermal[i];
    }
    ahead->carry = s.carry;
    ahead->voltage_V = found.voltage;
    ahead->heat_W = found.heat;
}

/* Slopes at x, where a step leads to `here`. */
ROM_INLINE void ROM_(differ)(const ROM_(filter_t) *m, const ROM_(walls_t) *walls, const real_t *x, real_t current,
                             const real_t coolant[ROM_W_MAX], const ROM_(ahead_t) *here, ROM_(linear_t) *slopes)
{
    const real_t zero = ROM_NUM(0.0);
    const num_t *mean = m->cell.read[1];
    const int n = CFL_N;
    real_t *F = slopes->F, beside[CFL_ROOM], none[ROM_W_MAX];
    ROM_(ahead_t) there;
    for (int i = 0; i < n * n; i++) {
        F[i] = zero;
    }
    for (int k = 0; k < CFL_T + 2; k++) {
        for (int i = 0; i < CFL_R; i++) {
            beside[i] = x[i];
        }
        real_t amperes = current, step;
        if (k < CFL_T) {
            beside[k] = x[k] + m->reach[k];
            step = beside[k] - x[k];
        } else if (k == CFL_T) { /* warmer all over, by what state 0 says */
            beside[k] = x[k] + m->reach[k];
            step = (beside[k] - x[k]) * mean[0];
        } else {
            amperes = current + m->reach[k];
            step = amperes - current;
        }
        ROM_(look)(m, walls, beside, zero, amperes, coolant, &there);
        const real_t over = ROM_OVER(ROM_NUM(1.0), step);
        const real_t voltage = (there.voltage_V - here->voltage_V) * over, heat = (there.heat_W - here->heat_W) * over;
        for (int i = 1; i < CFL_T; i++) {
            const real_t slope = (there.after[i] - here->after[i]) * over;
            if (k < CFL_T) {
                F[i * n + k] = slope;
            } else if (k > CFL_T) {
                slopes->by_A[i] = slope;
            } else {
                for (int j = 0; j < CFL_THERMAL; j++) {
                    F[i * n + CFL_T + j] = slope * mean[j];
                }
            }
        }
        if (k < CFL_T) {
            slopes->voltage[k] = voltage;
            slopes->heat[k] = heat;
        } else if (k > CFL_T) {
            slopes->voltage_by_A = voltage;
            slopes->by_A[CFL_T] = heat; /* shared out below */
        } else {
            for (int j = 0; j < CFL_THERMAL; j++) {
                slopes->voltage[CFL_T + j] = voltage * mean[j];
                slopes->heat[CFL_T + j] = heat * mean[j];
            }
        }
    }
    /* the current alone moves lithium */
    F[0] = ROM_NUM(1.0);
    slopes->by_A[0] = -(m->cell.negative.fill / (m->cell.negative.area * (m->use.area * m->cell.area_m2)));
    slopes->voltage[CFL_R] = -current;
    slopes->voltage[CFL_E] = ROM_NUM(1.0);
    slopes->heat[CFL_R] = current * current;
    slopes->heat[CFL_E] = zero;
    /* conduction: modes fade, heat comes in, walls take their share */
    const real_t heat_by_A = slopes->by_A[CFL_T], watt = ROM_NUM(1.0);
    for (int w = 0; w < ROM_W_MAX; w++) {
        none[w] = zero;
    }
    for (int i = 0; i < ROM_N; i++) {
        slopes->warm[i] = zero;
    }
    ROM_(drive)(&m->cell.conduction, slopes->warm, &watt);
    ROM_(exchange)(&m->cell.conduction, walls, slopes->warm, none);
    for (int j = 0; j < n; j++) {
        real_t fades[ROM_N];
        const real_t cold = zero;
        for (int i = 0; i < ROM_N; i++) {
            fades[i] = (CFL_T + i == j) ? ROM_NUM(1.0) : zero;
        }
        ROM_(drive)(&m->cell.conduction, fades, &cold);
        ROM_(exchange)(&m->cell.conduction, walls, fades, none);
        for (int i = 0; i < CFL_THERMAL; i++) {
            F[(CFL_T + i) * n + j] = fades[i] + slopes->warm[i] * slopes->heat[j];
        }
    }
    for (int i = 0; i < CFL_THERMAL; i++) {
        slopes->by_A[CFL_T + i] = slopes->warm[i] * heat_by_A;
    }
    F[CFL_R * n + CFL_R] = ROM_NUM(1.0);
    F[CFL_E * n + CFL_E] = m->error_keep;
    slopes->by_A[CFL_R] = zero;
    slopes->by_A[CFL_E] = zero;
}

/* x + gain away. What lithium and resistance gather over millions of steps is not rounded away: they carry. */
ROM_INLINE void ROM_(gather)(const ROM_(filter_t) *m, real_t *x, real_t carry[2], const real_t *gain, real_t away)
{
    (void)m;
    real_t add[CFL_ROOM];
    for (int i = 0; i < CFL_N; i++) {
        add[i] = gain[i] * away;
        if ((i != 0) && (i != CFL_R)) {
            x[i] = x[i] + add[i];
        }
    }
    UD_(add)(1, x, carry, add);
    UD_(add)(1, x + CFL_R, carry + 1, add + CFL_R);
}

/* Correct by the voltage, and step the mean. */
ROM_INLINE void ROM_(correct)(const ROM_(filter_t) *m, const ROM_(walls_t) *walls, real_t *x, real_t carry[2],
                              real_t *ud, real_t current, real_t voltage_V, rom_test_t taken,
                              const real_t coolant[ROM_W_MAX], ROM_(ahead_t) *ahead, ROM_(linear_t) *slopes,
                              ROM_(filter_output_t) *out)
{
    const real_t zero = ROM_NUM(0.0), weight = taken ? ROM_NUM(1.0) : zero;
    real_t gain[CFL_ROOM], there[CFL_ROOM], better[CFL_ROOM], along = zero;
    ROM_(look)(m, walls, x, carry[0], current, coolant, ahead);
    ROM_(differ)(m, walls, x, current, coolant, ahead, slopes);

    const real_t drop_V = m->drop * slopes->voltage_by_A * current;
    const real_t away = voltage_V - (ahead->voltage_V - current * x[CFL_R] + x[CFL_E]);
    const real_t S = UD_(measure)(CFL_N, ud, slopes->voltage, m->voltage_variance + drop_V * drop_V,
                                  ROM_PRESENT(away) ? weight : zero, gain);
    const real_t innovation = (S > zero) ? away : zero;
    out->voltage_innovation_V = innovation;
    out->voltage_variance_V2 = S;
    for (int i = 0; i < CFL_N; i++) {
        better[i] = gain[i] * innovation;
        there[i] = x[i] + better[i];
        along = along + slopes->voltage[i] * better[i];
    }
    /* the same reading from there: along the straight line it would be gone */
    ROM_(look)(m, walls, there, carry[0], current, coolant, ahead);
    const real_t again = voltage_V - (ahead->voltage_V - current * there[CFL_R] + there[CFL_E]) + along;
    ROM_(gather)(m, x, carry, gain, ROM_BOTH(S > zero, ROM_PRESENT(again)) ? again : innovation);
    ROM_(look)(m, walls, x, carry[0], current, coolant, ahead);
}

/* Mean and covariance to the end of the step. */
ROM_INLINE void ROM_(move)(const ROM_(filter_t) *m, real_t *x, real_t carry[2], real_t *ud, real_t current,
                           rom_test_t known, const ROM_(ahead_t) *ahead, const ROM_(linear_t) *slopes, real_t *heat_W)
{
    const real_t zero = ROM_NUM(0.0), more_W = x[CFL_R] * (current * current);
    const int n = CFL_N, g = CFL_G;
    real_t G[CFL_ROOM * (4 + ROM_N)], q[4 + ROM_N];
    for (int i = 0; i < n * g; i++) {
        G[i] = zero;
    }
    for (int i = 0; i < n; i++) {
        G[i * g] = slopes->by_A[i];
    }
    for (int i = 0; i < CFL_THERMAL; i++) {
        G[(CFL_T + i) * g] = G[(CFL_T + i) * g] + ROM_NUM(2.0) * x[CFL_R] * current * slopes->warm[i];
        G[(CFL_T + i) * g + 1] = slopes->warm[i];
        q[2 + i] = m->freezing;
    }
    q[0] = known ? m->current_variance : m->lost_variance;
    q[1] = m->heat_variance;
    q[g - 2] = m->resistance_fresh * (slopes->voltage_by_A * slopes->voltage_by_A);
    q[g - 1] = m->error_fresh;
    for (int k = 2; k < g; k++) {
        G[(CFL_T + k - 2) * g + k] = ROM_NUM(1.0);
    }
    UD_(predict)(n, g, ud, slopes->F, G, q);

    *heat_W = ahead->heat_W + more_W;
    for (int i = 0; i < CFL_R; i++) {
        const real_t after = ahead->after[i] + ((i < CFL_T) ? zero : slopes->warm[i - CFL_T] * more_W);
        x[i] = ROM_PRESENT(after) ? after : x[i]; /* what is not a number stays outside */
    }
    carry[0] = ROM_PRESENT(ahead->carry) ? ahead->carry : zero;
    x[CFL_E] = m->error_keep * x[CFL_E];
}

/* One whole step: inputs held over it, surfaces at its end. */
ROM_INLINE void ROM_(filter)(const ROM_(filter_t) *m, real_t *x, real_t carry[2], real_t *ud,
                             const ROM_(filter_input_t) *u, const real_t surface_K[CFL_M_MAX],
                             ROM_(filter_output_t) *out)
{
    const real_t zero = ROM_NUM(0.0);
    const rom_test_t known = ROM_BOTH(u->current_A > -m->most_A, u->current_A < m->most_A);
    const real_t current = known ? u->current_A : zero;
    real_t coolant[ROM_W_MAX], gain[CFL_ROOM], row[CFL_ROOM];
    ROM_(walls_t) walls;
    ROM_(ahead_t) ahead;
    ROM_(linear_t) slopes;

    ROM_(open)(&m->cell.conduction, m->use.conductance, &walls);
    for (int w = 0; w < ROM_W_MAX; w++) { /* surroundings that are not known are what the wall is at */
        real_t own = zero;
        for (int i = 0; i < CFL_THERMAL; i++) {
            own = own + m->cell.conduction.wall[w][i] * x[CFL_T + i];
        }
        const real_t given = u->coolant_K[w] - m->coolant_reference_K;
        coolant[w] = ROM_PRESENT(given) ? given : own;
    }
    ROM_(correct)(m, &walls, x, carry, ud, current, u->voltage_V, ROM_BOTH(known, ROM_PRESENT(u->voltage_V)),
                  coolant, &ahead, &slopes, out);
    ROM_(move)(m, x, carry, ud, current, known, &ahead, &slopes, &out->heat_W);

    for (int i = 0; i < CFL_N; i++) {
        row[i] = zero;
    }
    for (int k = 0; k < CFL_M; k++) {
        real_t expected = m->cell.zero_K;
        for (int w = 0; w < ROM_W_MAX; w++) {
            expected = expected + m->mixed[k][w] * coolant[w];
        }
        for (int i = 0; i < CFL_THERMAL; i++) {
            row[CFL_T + i] = m->sense[k][i];
            expected = expected + m->sense[k][i] * x[CFL_T + i];
        }
        const real_t away = surface_K[k] - expected;
        const real_t S = UD_(measure)(CFL_N, ud, row, m->sense_variance,
                                      ROM_PRESENT(away) ? ROM_NUM(1.0) : zero, gain);
        out->innovation_K[k] = (S > zero) ? away : zero;
        out->variance_K2[k] = S;
        ROM_(gather)(m, x, carry, gain, out->innovation_K[k]);
    }
}

/* A temperature (a row over the thermal states) and its variance: the filter's, and what the model is unsure of. */
ROM_INLINE void ROM_(filter_read)(const ROM_(filter_t) *m, const real_t *x, const real_t *ud, const num_t row[ROM_N],
                                  real_t *value_K, real_t *variance_K2)
{
    real_t above = ROM_NUM(0.0), outside = ROM_NUM(0.0), whole[CFL_ROOM];
    for (int i = 0; i < CFL_N; i++) {
        whole[i] = ROM_NUM(0.0);
    }
    for (int i = 0; i < CFL_THERMAL; i++) {
        whole[CFL_T + i] = row[i];
        above = above + row[i] * x[CFL_T + i];
        outside = outside + m->cell.conduction.wall[0][i] * x[CFL_T + i];
    }
    const real_t gradient = above - outside;
    *value_K = m->cell.zero_K + above;
    *variance_K2 = UD_(spread)(CFL_N, ud, whole) + m->gradient_variance * (gradient * gradient) + m->offset_variance;
}
