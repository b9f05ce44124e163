/* joint.h - the filter that estimates, beside the temperatures, cooling, slow heat and what each sensor is off by.
 *
 * Text, after elementary.h, step.h, observer.h and ud.h: once per size. bmsthermal/joint.py is the readable twin and
 * says what each state is. In their order, of JNT_ROOM that there is room for:
 *
 *   temperatures | ln h, JNT_H of them | slow heat, JNT_HEAT | reading | discrepancy | bias, where JNT_BIAS
 *
 * with as many of the last three as there are sensors. JNT_H is 0, 1 (of all walls) or the number of walls. The
 * covariance is U D U' (ud.h), and increments carry what rounding takes from them: steps may be short. The caller owns
 * x, carry and ud, and the tally.
 */

#define JNT_READ (ROM_N + JNT_H + JNT_HEAT)
#define JNT_OFF (JNT_READ + OBS_M)
#define JNT_BIASED (JNT_OFF + OBS_M)
#define JNT_N (JNT_BIASED + JNT_BIAS * OBS_M)
#define JNT_MOST_LOG_H ROM_NUM(5.0) /* a factor of 150 */

/* What is first-order noise: it loses a share of itself in a step, and fresh variance comes in. */
typedef struct {
    num_t loss, fresh;
} ROM_(slow_t);

typedef struct {
    num_t h_states, heat_states, bias_states; /* JNT_H and so on */
    ROM_(model_t) cell;
    num_t loss[ROM_N];            /* 1 - decay: as short steps need it */
    num_t relative_variance;      /* of the heat of one step, relative to its mean's square */
    num_t mean_share;             /* of a step in the running mean of the heat */
    num_t log_h_fresh;
    num_t slow_variance;          /* of slow heat, W2, and relative to the square of the mean heat */
    num_t slow_relative_variance;
    ROM_(slow_t) heat, discrepancy, bias;
    num_t catch_up;               /* share of its lag that a sensor makes up in a step */
} ROM_(joint_t);

/* Beside the states: charge and its carry, running mean of the heat. */
typedef struct {
    real_t soc, soc_carry, mean_W;
} ROM_(tally_t);

/* The walls' share of a step, for what no surroundings pull at: v <- W v. */
ROM_INLINE void ROM_(shut)(const ROM_(modal_t) *modal, const ROM_(walls_t) *walls, real_t v[ROM_N])
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        const real_t flow = walls->gain[w] * ROM_(dot)(modal->wall[w], v);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            v[i] = v[i] - walls->answer[w][i] * flow;
        }
    }
}

/* What a sensor says of states without a lag: a column of F or G, taken at the surface. */
ROM_INLINE void ROM_(caught)(const ROM_(joint_t) *restrict j, real_t *columns, int column)
{
    const ROM_(model_t) *m = &j->cell;
    for (int k = 0; k < OBS_M; k++) {
        real_t sum = m->sense[k][0] * columns[column];
        ROM_FOR
        for (int i = 1; i < ROM_N; i++) {
            sum = sum + m->sense[k][i] * columns[i * JNT_N + column];
        }
        columns[(JNT_READ + k) * JNT_N + column] = j->catch_up * sum;
    }
}

/* Time update. Slopes: of the temperatures as in observer.h; of ln h at a wall, -W sink q with the flow q at the end
   of the step, which follows from (1 + g E'S) q = g (E' x* - c). */
ROM_INLINE void ROM_(joint_predict)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                    real_t *restrict ud, ROM_(tally_t) *restrict t, const ROM_(input_t) *restrict u,
                                    real_t *heat_W)
{
    const ROM_(model_t) *m = &j->cell;
    const ROM_(modal_t) *modal = &m->modal;
    const real_t zero = ROM_NUM(0.0);
    real_t F[JNT_ROOM * JNT_ROOM], G[JNT_ROOM * JNT_ROOM], q[JNT_ROOM], dx[JNT_ROOM];
    real_t heat, slope, variance, less, g[ROM_W_MAX], coolant[ROM_W_MAX], after[ROM_N], column[ROM_N];
    ROM_(walls_t) walls;

    ROM_(heat)(m, t->soc, x[0], u, &less, &heat, &slope, &variance);
    less = -less;
    UD_(add)(1, &t->soc, &t->soc_carry, &less);
    t->soc = ROM_(charge)(t->soc);
    t->mean_W = t->mean_W + ((heat < zero ? -heat : heat) - t->mean_W) * j->mean_share;

    for (int i = 0; i < JNT_N * JNT_N; i++) {
        F[i] = zero;
        G[i] = zero;
    }
    for (int i = 0; i < JNT_N; i++) {
        F[i * JNT_N + i] = ROM_NUM(1.0);
        G[i * JNT_N + i] = ROM_NUM(1.0);
        q[i] = zero;
        dx[i] = zero;
    }

    /* temperatures, insulated */
    const real_t slow = JNT_HEAT ? x[ROM_N + JNT_H] : zero;
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        dx[i] = modal->drive[0][i] * (heat + slow) - j->loss[i] * x[i];
        after[i] = x[i] + dx[i];
        q[i] = m->noise[i];
    }
    ROM_(around)(m, u, after, g, coolant);
    for (int w = 0; (w < ROM_W) && (JNT_H > 0); w++) {
        const real_t log_h = x[ROM_N + ((JNT_H > 1) ? w : 0)];
        const real_t above = ROM_SELECT(log_h < JNT_MOST_LOG_H, log_h, JNT_MOST_LOG_H);
        g[w] = g[w] * rom_exp(ROM_SELECT(above > -JNT_MOST_LOG_H, above, -JNT_MOST_LOG_H));
    }

    /* walls */
    ROM_(open)(modal, g, &walls);
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        const real_t flow = walls.gain[w] * (ROM_(dot)(modal->wall[w], after) - coolant[w]);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            dx[i] = dx[i] - walls.answer[w][i] * flow;
            after[i] = after[i] - walls.answer[w][i] * flow;
        }
    }
    ROM_FOR
    for (int k = 0; k < ROM_N; k++) {
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            column[i] = (k == 0) ? modal->drive[0][i] * (slope * m->mean) : zero;
        }
        column[k] = column[k] + (ROM_NUM(1.0) - j->loss[k]);
        ROM_(shut)(modal, &walls, column);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            F[i * JNT_N + k] = column[i];
        }
        ROM_(caught)(j, F, k);
        ROM_(caught)(j, G, k);
    }
    for (int w = 0; (w < ROM_W) && (JNT_H > 0); w++) {
        const int at = ROM_N + ((JNT_H > 1) ? w : 0);
        const real_t flow = g[w] * (ROM_(dot)(modal->wall[w], after) - coolant[w]);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            column[i] = ROM_EACH(modal->sink[w][i]);
        }
        ROM_(shut)(modal, &walls, column);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            F[i * JNT_N + at] = F[i * JNT_N + at] - column[i] * flow;
        }
    }
    for (int i = ROM_N; i < ROM_N + JNT_H; i++) {
        ROM_(caught)(j, F, i);
        q[i] = j->log_h_fresh;
    }

    /* heat: its slow error, and in the first column of the readings, which have no noise of their own, its noise */
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        column[i] = ROM_EACH(modal->drive[0][i]);
    }
    ROM_(shut)(modal, &walls, column);
    for (int i = 0; i < JNT_N; i++) {
        G[i * JNT_N + JNT_READ] = (i < ROM_N) ? column[(i < ROM_N) ? i : 0] : zero;
    }
    ROM_(caught)(j, G, JNT_READ);
    q[JNT_READ] = variance + j->relative_variance * t->mean_W * t->mean_W;
    if (JNT_HEAT) {
        const int at = ROM_N + JNT_H;
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            F[i * JNT_N + at] = column[i];
        }
        ROM_(caught)(j, F, at);
        F[at * JNT_N + at] = ROM_NUM(1.0) - j->heat.loss;
        q[at] = (j->slow_variance + j->slow_relative_variance * t->mean_W * t->mean_W) * j->heat.fresh;
        dx[at] = -j->heat.loss * x[at];
    }

    /* sensors */
    for (int k = 0; k < OBS_M; k++) {
        const int read = JNT_READ + k, off = JNT_OFF + k, bias = JNT_BIASED + k;
        real_t surface = ROM_(dot)(m->sense[k], after);
        for (int w = 0; w < ROM_W; w++) {
            surface = surface + m->mixed[k][w] * coolant[w];
        }
        dx[read] = j->catch_up * (surface - x[read]);
        F[read * JNT_N + read] = ROM_NUM(1.0) - j->catch_up;
        F[off * JNT_N + off] = ROM_NUM(1.0) - j->discrepancy.loss;
        q[off] = j->discrepancy.fresh;
        dx[off] = -j->discrepancy.loss * x[off];
        if (JNT_BIAS) {
            F[bias * JNT_N + bias] = ROM_NUM(1.0) - j->bias.loss;
            q[bias] = j->bias.fresh;
            dx[bias] = -j->bias.loss * x[bias];
        }
    }
    UD_(predict)(JNT_N, ud, F, G, q);
    UD_(add)(JNT_N, x, carry, dx);
    *heat_W = heat;
}

/* Measurement update with one sensor after another; an absent one changes nothing. */
ROM_INLINE void ROM_(joint_update)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                   real_t *restrict ud, const real_t surface_K[OBS_M_MAX],
                                   ROM_(output_t) *restrict out)
{
    const ROM_(model_t) *m = &j->cell;
    const real_t zero = ROM_NUM(0.0);
    real_t row[JNT_ROOM], gain[JNT_ROOM];
    for (int k = 0; k < OBS_M; k++) {
        for (int i = 0; i < JNT_N; i++) {
            row[i] = zero;
        }
        for (int of = JNT_READ; of < JNT_N; of += OBS_M) {
            row[of + k] = ROM_NUM(1.0);
        }
        const real_t z = surface_K[k] - m->reference_K;
        const rom_test_t there = ROM_PRESENT(z);
        real_t expected = x[JNT_READ + k] + x[JNT_OFF + k];
        expected = expected + (JNT_BIAS ? x[JNT_BIASED + k] : zero);
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

/* One whole step: inputs held over it, measurements at its end. */
ROM_INLINE void ROM_(joint_observe)(const ROM_(joint_t) *restrict j, real_t *restrict x, real_t *restrict carry,
                                    real_t *restrict ud, ROM_(tally_t) *restrict t, const ROM_(input_t) *restrict u,
                                    const real_t surface_K[OBS_M_MAX], ROM_(output_t) *restrict out)
{
    ROM_(joint_predict)(j, x, carry, ud, t, u, &out->heat_W);
    ROM_(joint_update)(j, x, carry, ud, surface_K, out);
    out->heat_W = out->heat_W + (JNT_HEAT ? x[ROM_N + JNT_H] : ROM_NUM(0.0));
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
