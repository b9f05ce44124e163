/* voltage.h - charge and resistance from the voltage of a step, and the heat that it and the resistance say.
 *
 * Text, after elementary.h, step.h, observer.h and ud.h: once per size. bmsthermal/voltage.py is the readable twin and
 * says what each state is: charge, ln of what the resistance has grown by, error of the curve, slow drop, its share. It
 * is a filter of its own, with no covariance in common with the temperatures. Its state is VLT_ROW numbers, owned by the
 * caller: x, carry, ud, and the innovation of the voltage and its variance, 0 where it was absent.
 */

#define VLT_N 5
#define VLT_UD (VLT_N * (VLT_N + 1) / 2)
#define VLT_ROW (2 * VLT_N + VLT_UD + 2)
#define VLT_MOST_LOG ROM_NUM(5.0)
#define VLT_COLDEST ROM_NUM(150.0)
#define VLT_HOTTEST ROM_NUM(1000.0)

typedef struct {
    num_t resistance_Ohm[OBS_TABLE];      /* at the reference temperature, against SOC 0 to 1 */
    num_t activation_K;                   /* its activation energy over the gas constant */
    num_t half;                           /* charge to each side over which a table's slope counts */
    num_t lowest_V, highest_V;            /* a voltage beyond is a broken wire */
    num_t sensor_variance;                /* V2 */
    num_t drop_variance;                  /* relative to the square of the drop */
    num_t share;                          /* slow share of the drop */
    num_t weight;                         /* of the voltage in the heat, 0 to 1; negative: by the variances */
    num_t alike;                          /* steps whose heat errs alike */
    num_t bent;                           /* steps over which what a table bends by is one error */
    num_t charge_free;                    /* 1 where the charge is estimated, else it is counted */
    num_t usual_A;                        /* current that may flow unseen */
    num_t charge_relative, charge_fresh;  /* variance of the charge of a step: relative to the square of the current, */
    num_t charge_lost;                    /* always, and while the current is missing */
    num_t growth_fresh;
    num_t curve_per_A;                    /* share of its error that the curve loses by an ampere over a step */
    num_t curve_variance, curve_relative; /* V2, and relative to the square of the drop of usual_A */
    num_t slow_loss, slow_fresh;
    num_t slow_variance, slow_relative; /* V2, and relative to the square of the drop */
    num_t share_loss, share_fresh;
} ROM_(voltage_t);

/* Open circuit, its slope by temperature and drop in V, with slopes by charge, and of the drop by temperature. */
typedef struct {
    real_t open_V, entropy_V_K, drop_V, open_soc, entropy_soc, drop_soc, drop_K, ohm, grown, free, bend_V;
} ROM_(point_t);

/* A number between two others. */
ROM_INLINE real_t ROM_(between)(real_t x, real_t low, real_t high)
{
    const real_t above = (x > low) ? x : low;
    return (above < high) ? above : high;
}

/* A table at a charge within it, its slope between two more, and how far the first is off the line through them. */
ROM_INLINE real_t ROM_(chord)(const ROM_(model_t) *restrict m, const num_t table[OBS_TABLE], const real_t soc[3],
                              real_t *slope, real_t *bend)
{
    const real_t last = m->heat.table_last - ROM_NUM(1.0);
    real_t value[3];
    for (int k = 0; k < 3; k++) {
        const real_t place = soc[k] * m->heat.table_last;
        const rom_index_t i = ROM_INDEX((place < last) ? place : last);
        value[k] = ROM_(lookup)(table, i, place - ROM_REAL(i));
    }
    *slope = (value[2] - value[1]) / (soc[2] - soc[1]);
    *bend = value[0] - (value[1] + *slope * (soc[0] - soc[1]));
    return value[0];
}

/* The tables at the charge of x, clamped into them, with chords for slopes. */
ROM_INLINE void ROM_(point)(const ROM_(model_t) *restrict m, const ROM_(voltage_t) *restrict v, const real_t x[VLT_N],
                            real_t mean_K, real_t current, ROM_(point_t) *p)
{
    const real_t zero = ROM_NUM(0.0), one = ROM_NUM(1.0);
    const real_t held = ROM_(between)(x[0], zero, one);
    const real_t soc[3] = {held, ROM_(between)(held - v->half, zero, one), ROM_(between)(held + v->half, zero, one)};
    const real_t T = ROM_(between)(mean_K, VLT_COLDEST, VLT_HOTTEST), above = mean_K - m->reference_K;
    const real_t colder = v->activation_K * (one / T - one / m->reference_K);
    const real_t warm = rom_exp(ROM_(between)(colder, -VLT_MOST_LOG, VLT_MOST_LOG));
    const real_t growth = ROM_(between)(x[1], -VLT_MOST_LOG, VLT_MOST_LOG);
    real_t unused, slope;
    p->entropy_V_K = ROM_(chord)(m, m->heat.entropy_V_K, soc, &p->entropy_soc, &unused);
    p->open_V = ROM_(chord)(m, m->heat.open_circuit_V, soc, &slope, &p->bend_V) + above * p->entropy_V_K;
    p->open_soc = slope + above * p->entropy_soc;
    p->ohm = ROM_(chord)(m, v->resistance_Ohm, soc, &slope, &unused) * warm;
    p->drop_V = current * p->ohm;
    p->drop_soc = current * slope * warm;
    p->drop_K = ((T < mean_K) || (T > mean_K)) ? zero : -v->activation_K / (T * T) * p->drop_V;
    p->grown = rom_exp(growth);
    p->free = ((growth < x[1]) || (growth > x[1])) ? zero : one;
}

/* Overpotential in V, and its slopes over the states. */
ROM_INLINE real_t ROM_(over)(const ROM_(voltage_t) *restrict v, const ROM_(point_t) *restrict p, const real_t x[VLT_N],
                             real_t slopes[VLT_N])
{
    const real_t fast = (ROM_NUM(1.0) - v->share) * p->grown;
    slopes[0] = fast * p->drop_soc;
    slopes[1] = p->free * fast * p->drop_V;
    slopes[2] = ROM_NUM(0.0);
    slopes[3] = v->share + x[4];
    slopes[4] = x[3];
    return fast * p->drop_V + slopes[3] * x[3];
}

/* Variance in V2 of what comes and goes of the drop within a step. */
ROM_INLINE real_t ROM_(white)(const ROM_(voltage_t) *restrict v, const ROM_(point_t) *restrict p)
{
    return v->drop_variance * ((p->grown * p->drop_V) * (p->grown * p->drop_V));
}

/* Correct by the voltage; innovation and variance go to seen. */
ROM_INLINE void ROM_(volts_update)(const ROM_(model_t) *restrict m, const ROM_(voltage_t) *restrict v, real_t *x,
                                   real_t mean_K, real_t current, real_t voltage)
{
    real_t row[VLT_N], gain[VLT_N], *carry = x + VLT_N, *ud = carry + VLT_N, *seen = ud + VLT_UD;
    ROM_(point_t) p;
    ROM_(point)(m, v, x, mean_K, current, &p);
    const real_t expected = p.open_V + x[2] - ROM_(over)(v, &p, x, row);
    for (int i = 0; i < VLT_N; i++) {
        row[i] = -row[i];
    }
    row[0] = p.open_soc; /* how R changes with charge teaches nothing of it */
    row[2] = ROM_NUM(1.0);
    seen[0] = voltage - expected;
    seen[1] = UD_(measure)(VLT_N, ud, row, v->sensor_variance + ROM_(white)(v, &p) + p.bend_V * p.bend_V * v->bent,
                           ROM_NUM(1.0), gain);
    for (int i = 0; i < VLT_N; i++) {
        gain[i] = gain[i] * seen[0];
    }
    UD_(add)(VLT_N, x, carry, gain);
    x[0] = ROM_(charge)(x[0]);
}

/* Move the state over the step. */
ROM_INLINE void ROM_(volts_predict)(const ROM_(model_t) *restrict m, const ROM_(voltage_t) *restrict v, real_t *x,
                                    const ROM_(point_t) *restrict p, real_t current, bool known)
{
    const real_t zero = ROM_NUM(0.0), one = ROM_NUM(1.0), two = ROM_NUM(2.0);
    const real_t usual_V = v->usual_A * p->ohm, usual_V2 = usual_V * usual_V;
    const real_t drop_V2 = known ? p->drop_V * p->drop_V : usual_V2;
    const real_t gone = v->curve_per_A * ((current < zero) ? -current : current), passed = (gone < one) ? gone : one;
    real_t F[VLT_N * VLT_N], G[VLT_N * VLT_N];
    real_t q[VLT_N] = {v->charge_relative * (current * current) + v->charge_fresh + (known ? zero : v->charge_lost),
                       v->growth_fresh,
                       (v->curve_variance + v->curve_relative * usual_V2) * (passed * (two - passed)),
                       (v->slow_variance + v->slow_relative * drop_V2) * v->slow_fresh,
                       v->share_fresh};
    const real_t loss[VLT_N] = {zero, zero, passed, v->slow_loss, v->share_loss};
    const real_t dx[VLT_N] = {-m->heat.soc_per_A * current, zero, -passed * x[2], v->slow_loss * (p->drop_V - x[3]),
                              -v->share_loss * x[4]};
    for (int i = 0; i < VLT_N; i++) {
        for (int k = 0; k < VLT_N; k++) {
            F[i * VLT_N + k] = (i == k) ? one - loss[i] : zero;
            G[i * VLT_N + k] = (i == k) ? one : zero;
        }
    }
    F[3 * VLT_N] = v->slow_loss * p->drop_soc;
    UD_(predict)(VLT_N, VLT_N, x + 2 * VLT_N, F, G, q);
    UD_(add)(VLT_N, x, x + VLT_N, dx);
    x[0] = ROM_(charge)(x[0]);
}

/* One whole step: the voltage is that under the current of the step. Heat, its slope by the mean temperature and its
   variance are as those of observer.h, with the same white noise. */
ROM_INLINE void ROM_(volts_step)(const ROM_(model_t) *restrict m, const ROM_(voltage_t) *restrict v, real_t *x,
                                 real_t mean_K, const ROM_(input_t) *restrict u, real_t *heat_W, real_t *slope_W_K,
                                 real_t *variance_W2)
{
    const real_t zero = ROM_NUM(0.0), one = ROM_NUM(1.0);
    const bool known = ROM_PRESENT(u->current_A), given = ROM_PRESENT(u->heat_W);
    const real_t current = known ? u->current_A : zero;
    const bool there = known && (u->voltage_V > v->lowest_V) && (u->voltage_V < v->highest_V);
    real_t slopes[VLT_N], *ud = x + 2 * VLT_N, *seen = ud + VLT_UD;
    ROM_(point_t) p;
    seen[0] = zero;
    seen[1] = zero;
    if (there) {
        ROM_(volts_update)(m, v, x, mean_K, current, u->voltage_V);
    }
    ROM_(point)(m, v, x, mean_K, current, &p);

    const real_t white = ROM_(white)(v, &p), counted = x[0] - m->heat.soc_per_A * current;
    const bool inside = (v->charge_free > zero) || ((counted >= zero) && (counted <= one));
    const real_t chosen = (v->weight < zero) ? white / (white + v->sensor_variance) : v->weight;
    const real_t w = (there && inside) ? chosen : zero, rest = one - w;
    real_t over = rest * ROM_(over)(v, &p, x, slopes);
    if (w > zero) {
        over = over + w * (p.open_V + x[2] - u->voltage_V);
    }
    for (int i = 0; i < VLT_N; i++) {
        slopes[i] = rest * slopes[i];
    }
    slopes[0] = slopes[0] + (w * p.open_soc - mean_K * p.entropy_soc);
    slopes[2] = slopes[2] + w;
    for (int i = 0; i < VLT_N; i++) {
        slopes[i] = current * slopes[i];
    }
    const real_t own = current * current * (rest * rest * white + w * w * v->sensor_variance);
    const real_t unsure = own + UD_(spread)(VLT_N, ud, slopes) * v->alike;
    const real_t said = current * (over - mean_K * p.entropy_V_K);
    const real_t by_K = current * rest * ((one - v->share) * p.grown * p.drop_K - p.entropy_V_K);
    *heat_W = given ? u->heat_W : (known ? said : zero);
    *slope_W_K = (given || !known) ? zero : by_K;
    *variance_W2 = m->heat_variance + (given ? zero : (known ? unsure : m->lost_heat_variance));
    ROM_(volts_predict)(m, v, x, &p, current, known);
}
