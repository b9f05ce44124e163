/* joint.h - the filter that estimates, beside the temperatures, cooling, slow heat and what each sensor is off by.
 *
 * Text, after elementary.h, step.h, observer.h, faults.h (where JNT_RULES is defined) and ud.h: once per size. bmsthermal/joint.py is the readable twin and
 * says what each state is. In their order, of JNT_ROOM that there is room for:
 *
 *   temperatures | ln h, JNT_H of them | slow heat, JNT_HEAT | reading, discrepancy, JNT_LAG | bias, JNT_BIAS
 *
 * with as many of the last three as there are sensors. Where JNT_VOLTAGE is 1, voltage.h, which goes before, says the
 * heat and the charge (JNT_VOLTS: there is room for it). JNT_H is 0, 1 (of all walls) or the number of walls, the others
 * 0 or 1: all 0 is the filter of observer.h. The covariance is U D U' (ud.h), and increments carry what rounding takes
 * from them: steps may be short. The caller owns x, carry and ud, and the tally; and where JNT_RULES is defined and
 * JNT_WATCH says so the row of the watch over the sensors, else NULL.
 */

#define JNT_SLOW (ROM_N + JNT_H)
#define JNT_READ (JNT_SLOW + JNT_HEAT)
#define JNT_OFF (JNT_READ + JNT_LAG * OBS_M)
#define JNT_BIASED (JNT_OFF + JNT_LAG * OBS_M)
#define JNT_N (JNT_BIASED + JNT_BIAS * OBS_M)
#define JNT_G (JNT_N + 1) /* noise of each state, and of the heat */
#define JNT_MOST_LOG_H ROM_NUM(3.0) /* a factor of 20: beyond it, readings are wrong and not the cooling */

/* What is first-order noise: it loses a share of itself in a step, and fresh variance comes in. */
typedef struct {
    num_t loss, fresh;
} ROM_(slow_t);

typedef struct {
    num_t h_states, heat_states, lag_states, bias_states; /* JNT_H and so on */
    ROM_(model_t) cell;
    num_t loss[ROM_N];            /* 1 - decay: as short steps need it */
    num_t relative_variance;      /* of the heat of one step, relative to its mean's square */
    num_t mean_share;             /* of a step in the running mean of the heat */
    num_t log_h_fresh;
    num_t slow_variance;          /* of slow heat, W2, and relative to the square of the mean heat */
    num_t slow_relative_variance;
    ROM_(slow_t) heat, discrepancy, bias;
    num_t catch_up;               /* share of its lag that a sensor makes up in a step */
#if JNT_VOLTS
    num_t voltage_states;         /* JNT_VOLTAGE */
    ROM_(voltage_t) voltage;
#endif
#ifdef JNT_RULES
    ROM_(rules_t) rules;
#endif
} ROM_(joint_t);

/* Beside the states: charge and its carry, running mean of the heat. */
typedef struct {
    real_t soc, soc_carry, mean_W;
} ROM_(tally_t);

/* A logarithm of h over the model's own, held inside what is believed. */
ROM_INLINE real_t ROM_(held)(real_t log_h)
{
    const real_t below = ROM_SELECT(log_h < JNT_MOST_LOG_H, log_h, JNT_MOST_LOG_H);
    return ROM_SELECT(below > -JNT_MOST_LOG_H, below, -JNT_MOST_LOG_H);
}

/* The walls' share of a step, for what no surroundings pull at: v <- W v. */
ROM_INLINE void ROM_(shut)(const ROM_(modal_t) *modal, const ROM_(walls_t) *walls, real_t v[ROM_N])
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        const real_t flow = walls->gain[w] * ROM_(at)(modal, w, v);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            v[i] = v[i] - walls->answer[w][i] * flow;
        }
    }
}

/* A column of F or G for the temperatures, and for the readings, which go after them. */
ROM_INLINE void ROM_(column)(const ROM_(joint_t) *restrict j, const real_t v[ROM_N], real_t *matrix, int width,
                             int column)
{
    const ROM_(model_t) *m = &j->cell;
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        matrix[i * width + column] = v[i];
    }
    for (int k = 0; JNT_LAG && (k < OBS_M); k++) {
        matrix[(JNT_READ + k) * width + column] = j->catch_up * ROM_(dot)(m->sense[k], v);
    }
}

/* Time update. Slopes: of the temperatures as in observer.h; of ln h at a wall, -W sink q with the flow q at the end
   of the step, which follows from (1 + g E'S) q = g (E' x* - c). */
ROM_INLINE void ROM_(joint_predict)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                    real_t *restrict ud, real_t *restrict volts, ROM_(tally_t) *restrict t,
                                    const ROM_(input_t) *restrict u, real_t unknown_W2, real_t coolant[ROM_W_MAX],
                                    real_t *heat_W, bool *known)
{
    const ROM_(model_t) *m = &j->cell;
    const ROM_(modal_t) *modal = &m->modal;
    const real_t zero = ROM_NUM(0.0);
    real_t F[JNT_ROOM * JNT_ROOM], G[JNT_ROOM * (JNT_ROOM + 1)], q[JNT_ROOM + 1], dx[JNT_ROOM];
    real_t heat, slope, variance, less, g[ROM_W_MAX], after[ROM_N], v[ROM_N], of_log_h[ROM_N];
    ROM_(walls_t) walls;

    *known = ROM_(heat)(&m->heat, t->soc, m->reference_K + m->mean * x[0], u, &less, &heat, &slope);
    variance = m->heat_variance + (*known ? zero : m->lost_heat_variance);
    less = -less;
    UD_(add)(1, &t->soc, &t->soc_carry, &less);
    t->soc = ROM_(charge)(t->soc);
#if JNT_VOLTS
    if (JNT_VOLTAGE) {
        *known = ROM_EITHER(ROM_PRESENT(u->heat_W), ROM_PRESENT(u->current_A));
        ROM_(volts_step)(m, &j->voltage, volts, m->reference_K + m->mean * x[0], u, &heat, &slope, &variance);
        t->soc = volts[0];
        t->soc_carry = volts[VLT_N];
    }
#else
    (void)volts;
#endif
    t->mean_W = t->mean_W + (((heat < zero) ? -heat : heat) - t->mean_W) * j->mean_share;
    *heat_W = heat;

    for (int i = 0; i < JNT_N; i++) {
        for (int k = 0; k < JNT_N; k++) {
            F[i * JNT_N + k] = zero;
            G[i * JNT_G + k] = (i == k) ? ROM_NUM(1.0) : zero;
        }
        G[i * JNT_G + JNT_N] = zero;
        q[i] = zero;
        dx[i] = zero;
    }

    /* temperatures, insulated, and then their walls */
    if (JNT_HEAT) {
        heat = heat + x[JNT_SLOW];
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        dx[i] = modal->drive[0][i] * heat - j->loss[i] * x[i];
        after[i] = x[i] + dx[i];
        q[i] = m->noise[i];
    }
    ROM_(around)(m, u, after, g, coolant);
    for (int w = 0; (w < ROM_W) && (JNT_H > 0); w++) {
        g[w] = g[w] * rom_exp(ROM_(held)(x[ROM_N + ((JNT_H > 1) ? w : 0)]));
    }
    ROM_(open)(modal, g, &walls);
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        const real_t flow = walls.gain[w] * (ROM_(at)(modal, w, after) - coolant[w]);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            dx[i] = dx[i] - walls.answer[w][i] * flow;
            after[i] = after[i] - walls.answer[w][i] * flow;
        }
    }
    for (int k = 0; k < ROM_N; k++) {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            v[i] = zero;
        }
        v[k] = ROM_NUM(1.0);
        ROM_(column)(j, v, G, JNT_G, k);
        v[k] = ROM_NUM(1.0) - j->loss[k];
        if (k == 0) { /* only the mean heats */
            ROM_FOR
            for (int i = 0; i < ROM_N; i++) {
                v[i] = v[i] + modal->drive[0][i] * (slope * m->mean);
            }
        }
        ROM_(shut)(modal, &walls, v);
        ROM_(column)(j, v, F, JNT_N, k);
    }
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        of_log_h[i] = zero;
    }
    for (int w = 0; (w < ROM_W) && (JNT_H > 0); w++) {
        const int at = ROM_N + ((JNT_H > 1) ? w : 0);
        const real_t flow = g[w] * (ROM_(dot)(modal->wall[w], after) - coolant[w]);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            v[i] = ROM_EACH(modal->sink[w][i]);
        }
        ROM_(shut)(modal, &walls, v);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            of_log_h[i] = ROM_SELECT(JNT_H > 1, zero, of_log_h[i]) - v[i] * flow;
        }
        ROM_(column)(j, of_log_h, F, JNT_N, at);
        F[at * JNT_N + at] = ROM_NUM(1.0);
        q[at] = j->log_h_fresh;
    }

    /* heat: its noise, and its slow error */
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        v[i] = ROM_EACH(modal->drive[0][i]);
    }
    ROM_(shut)(modal, &walls, v);
    ROM_(column)(j, v, G, JNT_G, JNT_N);
    q[JNT_N] = variance + j->relative_variance * t->mean_W * t->mean_W + (JNT_HEAT ? zero : unknown_W2);
    if (JNT_HEAT) {
        const int at = JNT_SLOW;
        ROM_(column)(j, v, F, JNT_N, at);
        F[at * JNT_N + at] = ROM_NUM(1.0) - j->heat.loss;
        q[at] = (j->slow_variance + j->slow_relative_variance * t->mean_W * t->mean_W) * j->heat.fresh + unknown_W2;
        dx[at] = -j->heat.loss * x[at];
    }

    /* sensors */
    for (int k = 0; JNT_LAG && (k < OBS_M); k++) {
        const int read = JNT_READ + k, off = JNT_OFF + k;
        const real_t surface = ROM_(surface)(m, k, after, coolant);
        dx[read] = j->catch_up * (surface - x[read]);
        F[read * JNT_N + read] = ROM_NUM(1.0) - j->catch_up;
        F[off * JNT_N + off] = ROM_NUM(1.0) - j->discrepancy.loss;
        q[off] = j->discrepancy.fresh;
        dx[off] = -j->discrepancy.loss * x[off];
    }
    for (int i = JNT_BIASED; i < JNT_N; i++) {
        F[i * JNT_N + i] = ROM_NUM(1.0) - j->bias.loss;
        q[i] = j->bias.fresh;
        dx[i] = -j->bias.loss * x[i];
    }
    UD_(predict)(JNT_N, JNT_G, ud, F, G, q);
    UD_(add)(JNT_N, x, carry, dx);
}

/* Measurement update with one sensor after another; an absent one changes nothing. */
ROM_INLINE void ROM_(joint_update)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                   real_t *restrict ud, const real_t coolant[ROM_W_MAX],
                                   const real_t surface_K[OBS_M_MAX], ROM_(output_t) *restrict out)
{
    const ROM_(model_t) *m = &j->cell;
    const real_t zero = ROM_NUM(0.0);
    real_t row[JNT_ROOM], gain[JNT_ROOM];
    for (int k = 0; k < OBS_M; k++) {
        for (int i = 0; i < JNT_N; i++) {
            row[i] = zero;
        }
        real_t expected;
        if (JNT_LAG) {
            row[JNT_READ + k] = ROM_NUM(1.0);
            row[JNT_OFF + k] = ROM_NUM(1.0);
            expected = x[JNT_READ + k] + x[JNT_OFF + k];
        } else {
            ROM_FOR
            for (int i = 0; i < ROM_N; i++) {
                row[i] = ROM_EACH(m->sense[k][i]);
            }
            expected = ROM_(surface)(m, k, x, coolant);
        }
        if (JNT_BIAS) {
            row[JNT_BIASED + k] = ROM_NUM(1.0);
            expected = expected + x[JNT_BIASED + k];
        }
        const real_t z = surface_K[k] - m->reference_K;
        const rom_test_t there = ROM_PRESENT(z);
        const real_t innovation = ROM_SELECT(there, z - expected, zero);
        out->innovation_K[k] = innovation;
        out->variance_K2[k] = UD_(measure)(JNT_N, ud, row, m->sense_variance[k],
                                           ROM_SELECT(there, ROM_NUM(1.0), zero), gain);
        for (int i = 0; i < JNT_N; i++) {
            gain[i] = gain[i] * innovation;
        }
        UD_(add)(JNT_N, x, carry, gain);
    }
}

#ifdef JNT_RULES
/* What a sensor would read without its bias, in K. */
ROM_INLINE void ROM_(joint_expect)(const ROM_(joint_t) *restrict j, const real_t *x, const real_t coolant[ROM_W_MAX],
                                   real_t expected_K[OBS_M_MAX])
{
    const ROM_(model_t) *m = &j->cell;
    for (int k = 0; k < OBS_M; k++) {
        expected_K[k] = m->reference_K + (JNT_LAG ? x[JNT_READ + k] : ROM_(surface)(m, k, x, coolant));
    }
}

/* Mean bias of the sensors, 0 where it is no state. */
ROM_INLINE real_t ROM_(joint_common)(const ROM_(joint_t) *restrict j, const real_t *x)
{
    const ROM_(model_t) *m = &j->cell;
    real_t sum = ROM_NUM(0.0);
    (void)m;
    for (int i = JNT_BIASED; i < JNT_N; i++) {
        sum = sum + x[i];
    }
    return sum / (real_t)OBS_M;
}

/* Readings that are believed, the others absent. */
ROM_INLINE void ROM_(joint_trust)(const ROM_(joint_t) *restrict j, const real_t *x, real_t *restrict ud,
                                  const ROM_(input_t) *restrict u, const real_t coolant[ROM_W_MAX],
                                  const real_t surface_K[OBS_M_MAX], real_t *restrict watch,
                                  real_t believed_K[OBS_M_MAX])
{
    const ROM_(model_t) *m = &j->cell;
    real_t expected_K[OBS_M_MAX], rise_K[OBS_M_MAX], variance_K2[OBS_M_MAX], row[JNT_ROOM];
    bool healed[OBS_M_MAX];
    ROM_(joint_expect)(j, x, coolant, expected_K);
    for (int k = 0; k < OBS_M; k++) {
        rise_K[k] = variance_K2[k] = ROM_NUM(0.0);
        for (int w = 0; w < ROM_W; w++) {
            const real_t around = u->coolant_K[w] - m->coolant_reference_K + m->reference_K;
            const real_t rise = ROM_(size_of)(expected_K[k] - around);
            if (ROM_PRESENT(around) && (rise > rise_K[k])) {
                rise_K[k] = rise;
            }
        }
        if (watch[FLT_OF(k, FLT_CODE)] > FLT_ABSENT) {
            for (int i = 0; i < JNT_N; i++) {
                row[i] = (!JNT_LAG && (i < ROM_N)) ? m->sense[k][(i < ROM_N) ? i : 0] : ROM_NUM(0.0);
            }
            if (JNT_LAG) {
                row[JNT_READ + k] = ROM_NUM(1.0);
                row[JNT_OFF + k] = ROM_NUM(1.0);
            }
            variance_K2[k] = UD_(spread)(JNT_N, ud, row);
        }
    }
    ROM_(look)(&j->rules, OBS_M, watch, surface_K, expected_K, rise_K, variance_K2, believed_K, healed);
    for (int k = 0; k < OBS_M; k++) { /* what was known of its bias may be of the fault */
        for (int kind = 0; healed[k] && (kind < 2); kind++) {
            const int at = kind ? JNT_BIASED + k : JNT_OFF + k;
            for (int i = 0; i < JNT_N; i++) {
                row[i] = (i == at) ? ROM_NUM(1.0) : ROM_NUM(0.0);
            }
            if ((kind > 0) ? (JNT_BIAS > 0) : (JNT_LAG > 0)) {
                UD_(inflate)(JNT_N, ud, row, kind ? j->rules.biased_K2 : j->rules.unsure_K2);
            }
        }
    }
}

/* Tell the watch what the readings did; while heat is unknown, sensors that agree are not all biased. */
ROM_INLINE void ROM_(joint_note)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                 real_t *restrict ud, const ROM_(tally_t) *t, const ROM_(input_t) *restrict u,
                                 const real_t coolant[ROM_W_MAX], real_t level, bool known, real_t *restrict watch)
{
    const ROM_(model_t) *m = &j->cell;
    const real_t zero = ROM_NUM(0.0), common = ROM_(joint_common)(j, x);
    const real_t added_K = m->mean * x[0] + common - level;
    const real_t slow_W = JNT_HEAT ? x[JNT_SLOW] : zero;
    const real_t slow_W2 = JNT_HEAT ? UD_(variance)(JNT_N, ud, JNT_SLOW) : zero;
    real_t expected_K[OBS_M_MAX], by_K[OBS_M_MAX], row[JNT_ROOM], gain[JNT_ROOM], out_W = zero, open = zero;
    for (int w = 0; w < ROM_W; w++) {
        const real_t around = u->coolant_K[w] - m->coolant_reference_K;
        real_t g = m->conductance_W_K[w];
        if (JNT_H > 0) {
            g = g * rom_exp(ROM_(held)(x[ROM_N + ((JNT_H > 1) ? w : 0)]));
        }
        if (ROM_PRESENT(around)) {
            out_W = out_W + g * (ROM_(dot)(m->modal.wall[w], x) - around);
            open = open + g;
        }
    }
    if ((watch[FLT_HOT] > zero) && ((common > zero) || (common < zero))) { /* as if their mean bias had been read: none */
        for (int i = 0; i < JNT_N; i++) {
            row[i] = (i < JNT_BIASED) ? zero : ROM_NUM(1.0) / (real_t)OBS_M;
        }
        (void)UD_(measure)(JNT_N, ud, row, j->rules.offset_K * j->rules.offset_K, ROM_NUM(1.0), gain);
        for (int i = 0; i < JNT_N; i++) {
            gain[i] = -common * gain[i];
        }
        for (int k = 0; k < OBS_M; k++) {
            by_K[k] = JNT_LAG ? gain[JNT_READ + k] : ROM_(dot)(m->sense[k], gain);
        }
        UD_(add)(JNT_N, x, carry, gain);
        ROM_(shifted)(OBS_M, watch, by_K);
    }
    ROM_(joint_expect)(j, x, coolant, expected_K);
    ROM_(after)(&j->rules, OBS_M, watch, expected_K, added_K, known, t->mean_W, ROM_(size_of)(out_W),
                slow_W + open * common, slow_W2, open);
}

/* Variance of a heat that is not known, of the slow heat or of that of one step. */
ROM_INLINE real_t ROM_(joint_unknown)(const ROM_(joint_t) *restrict j, const real_t *watch)
{
    const real_t W2 = watch[FLT_HEAT] * watch[FLT_HEAT];
    const real_t share = JNT_HEAT ? j->rules.step_s / j->rules.heat_s : ROM_NUM(1.0) / j->rules.step_s;
    return (watch[FLT_HOT] > ROM_NUM(0.0)) ? ((W2 < ROM_HUGE) ? W2 : ROM_HUGE) * share : ROM_NUM(0.0);
}
#endif

/* One whole step: inputs held over it, measurements at its end. */
ROM_INLINE void ROM_(joint_observe)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                    real_t *restrict ud, real_t *restrict volts, ROM_(tally_t) *restrict t,
                                    real_t *restrict watch, const ROM_(input_t) *restrict u,
                                    const real_t surface_K[OBS_M_MAX], ROM_(output_t) *restrict out)
{
    real_t coolant[ROM_W_MAX], unknown = ROM_NUM(0.0);
    const real_t *taken_K = surface_K;
    bool known;
#ifdef JNT_RULES
    const ROM_(model_t) *m = &j->cell;
    real_t believed_K[OBS_M_MAX], level = ROM_NUM(0.0);
    if (JNT_WATCH) {
        unknown = ROM_(joint_unknown)(j, watch);
    }
#else
    (void)watch;
#endif
    ROM_(joint_predict)(j, x, carry, ud, volts, t, u, unknown, coolant, &out->heat_W, &known);
#ifdef JNT_RULES
    if (JNT_WATCH) {
        ROM_(joint_trust)(j, x, ud, u, coolant, surface_K, watch, believed_K);
        level = m->mean * x[0] + ROM_(joint_common)(j, x);
        taken_K = believed_K;
    }
#endif
    ROM_(joint_update)(j, x, carry, ud, coolant, taken_K, out);
    for (int i = ROM_N; i < JNT_SLOW; i++) {
        x[i] = ROM_(held)(x[i]);
    }
    out->heat_W = out->heat_W + (JNT_HEAT ? x[JNT_SLOW] : ROM_NUM(0.0));
#ifdef JNT_RULES
    if (JNT_WATCH) {
        ROM_(joint_note)(j, x, carry, ud, t, u, coolant, level, known, watch);
    }
#endif
}

/* A temperature (a row over the thermal states) and its variance: see observer.h. */
ROM_INLINE void ROM_(joint_read)(const ROM_(joint_t) *j, const real_t *x, const real_t *ud, const num_t row[ROM_N],
                                 real_t *value_K, real_t *variance_K2)
{
    const ROM_(model_t) *m = &j->cell;
    real_t whole[JNT_ROOM];
    for (int i = 0; i < JNT_N; i++) {
        whole[i] = (i < ROM_N) ? row[(i < ROM_N) ? i : 0] : ROM_NUM(0.0);
    }
    const real_t above = ROM_(dot)(row, x);
    const real_t gradient = above - ROM_(dot)(m->modal.wall[0], x);
    *value_K = m->reference_K + above;
    *variance_K2 = UD_(spread)(JNT_N, ud, whole) + m->gradient_variance * (gradient * gradient) + m->offset_variance;
}
