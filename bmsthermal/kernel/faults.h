/* faults.h - the watch over the sensors: faults of one, and heat that nobody accounts for.
 *
 * Text, after observer.h and before joint.h: once per size. bmsthermal/faults.py is the readable twin and says what each
 * rule is, line by line. It remembers a row of numbers, FLT_CELL of the cell and FLT_SENSOR of each of OBS_M sensors; no
 * other memory, no function but + - * /. The caller owns the row. For one cell at a time.
 */

#define FLT_CELL 8
#define FLT_SENSOR 14
#define FLT_NUMBERS(sensors) (FLT_CELL + FLT_SENSOR * (sensors))

#define FLT_OF(k, what) (FLT_CELL + FLT_SENSOR * (k) + (what)) /* of sensor k */

/* of the cell */
#define FLT_AGE 0
#define FLT_ALONE 1
#define FLT_ADDED 2
#define FLT_HEAT 3
#define FLT_VARIANCE 4
#define FLT_COOLING 5
#define FLT_HOT 6
#define FLT_CALM 7

/* of a sensor; codes from FLT_OPEN on: its readings are not taken */
#define FLT_CODE 0
#define FLT_MISSING 1
#define FLT_LAST 2
#define FLT_GAP 3
#define FLT_BEFORE 4
#define FLT_JUMPED 5
#define FLT_HELD 6
#define FLT_THEN 7
#define FLT_BESIDE 8
#define FLT_MOVED 9
#define FLT_AFTER 10
#define FLT_SUM 11
#define FLT_HALF 12
#define FLT_AGREED 13

#define FLT_NONE ROM_NUM(0.0)
#define FLT_ABSENT ROM_NUM(1.0)
#define FLT_OPEN ROM_NUM(2.0)
#define FLT_SHORT ROM_NUM(3.0)
#define FLT_BIAS ROM_NUM(4.0)
#define FLT_STUCK ROM_NUM(5.0)
#define FLT_DRIFT ROM_NUM(6.0)
#define FLT_SWAP ROM_NUM(7.0)
#define FLT_NOTHING ROM_NUM(1.0e7) /* a reading that is not there */

typedef struct {
    num_t on;          /* 0: nobody watches */
    num_t step_s;
    num_t heat_J_K;    /* heat capacity of the cell */
    num_t noise_K2;    /* of a reading */
    num_t along;       /* what the model is off by between places, per kelvin above the coolant */
    num_t unsure_K2, biased_K2; /* discrepancy and bias of a sensor that is trusted again */
    num_t coldest_K, hottest_K, lost_s, jump, fastest_K_s, confirm_s, offset_K, limit, window_s, drift_s, resolution_K,
        stuck_K, stuck_s, recover_s, alone_K, heat, cooling, heat_K_s, heat_limit, heat_s, settle_s;
} ROM_(rules_t);

/* Absolute value. */
ROM_INLINE real_t ROM_(size_of)(real_t x)
{
    return (x < ROM_NUM(0.0)) ? -x : x;
}

/* Nobody has seen anything yet. */
ROM_INLINE void ROM_(watch_start)(int sensors, real_t *watch)
{
    for (int i = 0; i < FLT_NUMBERS(sensors); i++) {
        watch[i] = ROM_NUM(0.0);
    }
    for (int k = 0; k < sensors; k++) {
        watch[FLT_OF(k, FLT_GAP)] = ROM_NUM(-1.0);
        watch[FLT_OF(k, FLT_HELD)] = ROM_HUGE;
    }
}

/* Middle value, or the mean of both, by insertion; 0 of none. */
ROM_INLINE real_t ROM_(median)(real_t *values, int count)
{
    for (int i = 1; i < count; i++) {
        const real_t value = values[i];
        int at = i;
        for (; (at > 0) && (values[(at > 0) ? at - 1 : 0] > value); at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
    const int half = count / 2;
    if (count < 1) {
        return ROM_NUM(0.0);
    }
    return ((count % 2) > 0) ? values[half] : (values[half - 1] + values[half]) / ROM_NUM(2.0);
}

/* Of what a healthy sensor is off by beside the median of the others. */
ROM_INLINE real_t ROM_(apart)(const ROM_(rules_t) *r, int others, real_t rise_K)
{
    const real_t along = r->along * rise_K;
    return r->offset_K * r->offset_K * (ROM_NUM(1.0) + ROM_NUM(1.0) / (real_t)others) + along * along;
}

/* Whether a reading is there and plausible; else its code says why not. */
ROM_INLINE bool ROM_(in_range)(const ROM_(rules_t) *r, real_t *row, real_t reading_K)
{
    if (row[FLT_GAP] >= ROM_NUM(0.0)) {
        row[FLT_GAP] = row[FLT_GAP] + r->step_s;
    }
    if (!ROM_PRESENT(reading_K)) {
        row[FLT_MISSING] = row[FLT_MISSING] + r->step_s;
        row[FLT_AGREED] = (row[FLT_AGREED] < ROM_NUM(0.0)) ? row[FLT_AGREED] : ROM_NUM(0.0);
        if ((row[FLT_CODE] < FLT_ABSENT) && (row[FLT_MISSING] >= r->lost_s)) {
            row[FLT_CODE] = FLT_ABSENT;
        }
        return false;
    }
    row[FLT_MISSING] = ROM_NUM(0.0);
    if (row[FLT_CODE] < FLT_OPEN) {
        row[FLT_CODE] = FLT_NONE;
    }
    if ((reading_K > r->coldest_K) && (reading_K < r->hottest_K)) {
        return true;
    }
    row[FLT_CODE] = (reading_K <= r->coldest_K) ? FLT_OPEN : FLT_SHORT;
    row[FLT_AGREED] = row[FLT_JUMPED] = ROM_NUM(0.0);
    return false;
}

/* A step that neither noise nor heat makes, and that the others do not make. */
ROM_INLINE void ROM_(jump)(const ROM_(rules_t) *r, real_t *row, real_t off, real_t move, int others, real_t middle)
{
    const real_t gap = r->fastest_K_s * ((row[FLT_GAP] > ROM_NUM(0.0)) ? row[FLT_GAP] : ROM_NUM(0.0));
    const real_t most = r->jump * r->jump * ROM_NUM(2.0) * r->noise_K2 + gap * gap;
    const real_t from = move - middle, back = off - row[FLT_BEFORE];
    if ((row[FLT_CODE] <= FLT_ABSENT) && (move * move > most) && ((others == 0) || (from * from > most))) {
        row[FLT_CODE] = FLT_BIAS;
        row[FLT_BEFORE] = row[FLT_LAST];
        row[FLT_JUMPED] = r->step_s;
        row[FLT_AGREED] = ROM_NUM(0.0);
    } else if (row[FLT_JUMPED] > ROM_NUM(0.0)) {
        if (back * back <= most) {
            row[FLT_CODE] = FLT_NONE;
            row[FLT_JUMPED] = ROM_NUM(0.0);
        } else {
            row[FLT_JUMPED] = (row[FLT_JUMPED] < r->confirm_s) ? row[FLT_JUMPED] + r->step_s : ROM_NUM(0.0);
        }
    } else { /* nothing jumped */
    }
    row[FLT_LAST] = off;
    row[FLT_GAP] = ROM_NUM(0.0);
}

/* A reading that stays where it is while the others and the model move; alone, while the model does. */
ROM_INLINE void ROM_(stuck)(const ROM_(rules_t) *r, const real_t *watch, real_t *row, real_t reading_K,
                            real_t expected_K, real_t beside_K, int healthy)
{
    const real_t zero = ROM_NUM(0.0), moves = r->stuck_K + ROM_NUM(4.0) * r->resolution_K;
    if (ROM_(size_of)(reading_K - row[FLT_HELD]) > r->resolution_K) {
        row[FLT_HELD] = reading_K;
        row[FLT_THEN] = expected_K;
        row[FLT_BESIDE] = beside_K;
        row[FLT_MOVED] = zero;
        row[FLT_AGREED] = (row[FLT_AGREED] > zero) ? row[FLT_AGREED] : zero;
    } else if (healthy > 0) {
        if ((row[FLT_CODE] <= FLT_ABSENT) && (ROM_(size_of)(expected_K - row[FLT_THEN]) > moves) &&
            (ROM_(size_of)(beside_K - row[FLT_BESIDE]) > moves)) {
            row[FLT_CODE] = FLT_STUCK;
            row[FLT_AGREED] = ROM_NUM(-1.0);
        }
    } else {
        const real_t steady = watch[FLT_ADDED] * r->step_s / r->heat_J_K, kept = ROM_NUM(1.0) - r->step_s / r->stuck_s;
        row[FLT_THEN] = expected_K;
        row[FLT_BESIDE] = beside_K;
        row[FLT_MOVED] = (watch[FLT_AGE] > r->settle_s)
            ? ((kept > zero) ? kept : zero) * row[FLT_MOVED] + expected_K - row[FLT_AFTER] + steady
            : zero;
        if ((row[FLT_CODE] <= FLT_ABSENT) && (ROM_(size_of)(row[FLT_MOVED]) > moves) && !(watch[FLT_HOT] > zero)) {
            row[FLT_CODE] = FLT_STUCK;
            row[FLT_AGREED] = ROM_NUM(-1.0);
        }
    }
}

/* Say which fault makes a sensor differ from the others; of two, either may be off. */
ROM_INLINE void ROM_(name)(const ROM_(rules_t) *r, int sensors, real_t *rows, int k, real_t moved_K, const bool *trusted)
{
    real_t *row = rows + FLT_SENSOR * k;
    int count = 0;
    row[FLT_CODE] = (row[FLT_HALF] > r->drift_s) ? FLT_DRIFT : FLT_BIAS;
    row[FLT_SUM] = row[FLT_AGREED] = ROM_NUM(0.0);
    for (int i = 0; i < sensors; i++) {
        count += trusted[i] ? 1 : 0;
    }
    if (moved_K > (r->stuck_K + ROM_NUM(4.0) * r->resolution_K) / ROM_NUM(2.0)) {
        row[FLT_CODE] = FLT_STUCK;
        row[FLT_AGREED] = ROM_NUM(-1.0);
    } else if (count == 2) {
        for (int i = 0; i < sensors; i++) {
            if (trusted[i]) {
                real_t *other = rows + FLT_SENSOR * i;
                other[FLT_CODE] = row[FLT_CODE];
                other[FLT_SUM] = other[FLT_AGREED] = ROM_NUM(0.0);
            }
        }
    } else { /* of many, it alone */
    }
}

/* Rename the fault of a sensor where another one reads what it should, and it what the other one should. */
ROM_INLINE void ROM_(swap)(const ROM_(rules_t) *r, int sensors, real_t *rows, int k, const real_t *off,
                           const real_t *readings_K, const real_t *expected_K, real_t rise_K, const bool *trusted)
{
    const real_t most = r->limit * ROM_(apart)(r, 1, rise_K), four = ROM_NUM(4.0);
    for (int i = 0; i < sensors; i++) {
        real_t rest[OBS_M_MAX];
        int count = 0;
        for (int n = 0; n < sensors; n++) {
            if (trusted[n] && (n != i) && (n != k)) {
                rest[count++] = off[n];
            }
        }
        if ((i == k) || !trusted[i] || (count == 0)) {
            continue;
        }
        const real_t middle = ROM_(median)(rest, count);
        const real_t a = off[i] - middle, b = off[k] - middle;
        const real_t c = readings_K[i] - expected_K[k] - middle, d = readings_K[k] - expected_K[i] - middle;
        if ((four * (a * a) > most) && (four * (b * b) > most) && (four * (c * c) < most) && (four * (d * d) < most)) {
            for (int n = 0; n < 2; n++) {
                real_t *row = rows + FLT_SENSOR * ((n > 0) ? k : i);
                row[FLT_CODE] = FLT_SWAP;
                row[FLT_SUM] = row[FLT_JUMPED] = row[FLT_AGREED] = ROM_NUM(0.0);
            }
        }
    }
}

/* Whether a sensor that was masked has agreed for long enough; it is trusted again then. */
ROM_INLINE bool ROM_(agrees)(const ROM_(rules_t) *r, real_t *row, real_t off, real_t chi2, int healthy, real_t variance)
{
    const real_t unsure = variance + r->offset_K * r->offset_K + r->noise_K2;
    const bool agrees = (ROM_NUM(2.0) * chi2 < r->limit) && ((healthy > 0) || (off * off < ROM_NUM(4.0) * unsure));
    if (row[FLT_AGREED] >= ROM_NUM(0.0)) {
        row[FLT_AGREED] = agrees ? row[FLT_AGREED] + r->step_s : ROM_NUM(0.0);
    }
    if (row[FLT_AGREED] < r->recover_s) {
        return false;
    }
    row[FLT_CODE] = row[FLT_SUM] = row[FLT_HALF] = row[FLT_AGREED] = ROM_NUM(0.0);
    return true;
}

/* Judge the readings of a step. In: what the sensors read, what the model expects of them without biases, what each
   place is above the coolant, and the variance of what is expected of sensors that are masked. Out: readings that are
   believed, the others absent, and which sensors are trusted again from now on. */
ROM_INLINE void ROM_(look)(const ROM_(rules_t) *r, int sensors, real_t *watch, const real_t *readings_K,
                           const real_t *expected_K, const real_t *rise_K, const real_t *variance_K2,
                           real_t *believed_K, bool *healed)
{
    const real_t zero = ROM_NUM(0.0);
    real_t *rows = watch + FLT_CELL;
    real_t off[OBS_M_MAX], moves[OBS_M_MAX], beside[OBS_M_MAX], chi2[OBS_M_MAX], some[OBS_M_MAX];
    bool usable[OBS_M_MAX], trusted[OBS_M_MAX];
    int healthy[OBS_M_MAX], worst = -1, taken = 0;

    for (int k = 0; k < sensors; k++) {
        real_t *row = rows + FLT_SENSOR * k;
        usable[k] = ROM_(in_range)(r, row, readings_K[k]);
        off[k] = usable[k] ? readings_K[k] - expected_K[k] : zero;
        usable[k] = usable[k] && ROM_PRESENT(off[k]);
        trusted[k] = usable[k] && (row[FLT_CODE] <= FLT_ABSENT);
        moves[k] = (usable[k] && (row[FLT_GAP] >= zero)) ? off[k] - row[FLT_LAST] : zero;
        healed[k] = false;
    }
    for (int k = 0; k < sensors; k++) {
        int count = 0;
        beside[k] = chi2[k] = zero;
        for (int i = 0; i < sensors; i++) {
            if ((i != k) && trusted[i]) {
                some[count++] = off[i];
            }
        }
        healthy[k] = count;
        for (int i = 0; (healthy[k] == 0) && (i < sensors); i++) {
            if ((i != k) && usable[i]) {
                some[count++] = off[i];
            }
        }
        if (usable[k] && (count > 0)) {
            beside[k] = off[k] - ROM_(median)(some, count);
            chi2[k] = beside[k] * beside[k] / ROM_(apart)(r, count, rise_K[k]);
        }
        if (trusted[k] && ((worst < 0) || (chi2[k] > chi2[(worst < 0) ? 0 : worst]))) {
            worst = k;
        }
    }

    for (int k = 0; k < sensors; k++) {
        real_t *row = rows + FLT_SENSOR * k;
        const bool was = row[FLT_CODE] > FLT_ABSENT;
        int count = 0;
        if (!usable[k]) {
            continue;
        }
        for (int i = 0; i < sensors; i++) {
            if ((i != k) && usable[i]) {
                some[count++] = moves[i];
            }
        }
        ROM_(jump)(r, row, off[k], moves[k], count, ROM_(median)(some, count));
        ROM_(stuck)(r, watch, row, readings_K[k], expected_K[k], beside[k], healthy[k]);
        if (row[FLT_CODE] <= FLT_ABSENT) {
            const real_t cap = ROM_NUM(4.0) * r->limit, then = ROM_(size_of)(expected_K[k] - row[FLT_THEN]);
            const real_t there = ROM_(size_of)(beside[k] - row[FLT_BESIDE]);
            real_t high = ((chi2[k] < cap) ? chi2[k] : cap) - r->limit;
            /* an error of one is seen by all, by half; what one that is masked is off by is nobody else's */
            if ((healthy[k] != 1) && ((healthy[k] == 0) || (k != worst)) && (high > zero)) {
                high = zero;
            }
            high = row[FLT_SUM] + high / r->limit * r->step_s / r->window_s;
            row[FLT_SUM] = (high > zero) ? high : zero;
            row[FLT_HALF] = (ROM_NUM(4.0) * chi2[k] > r->limit) ? row[FLT_HALF] + r->step_s : zero;
            if ((row[FLT_SUM] >= ROM_NUM(1.0)) && (healthy[k] > 0)) {
                ROM_(name)(r, sensors, rows, k, (then < there) ? then : there, trusted);
                for (int i = 0; i < sensors; i++) { /* one in a step */
                    healthy[i] = 0;
                }
            }
        } else if (was && !(row[FLT_JUMPED] > zero)) {
            healed[k] = ROM_(agrees)(r, row, off[k], chi2[k], healthy[k], variance_K2[k]);
            if (healed[k] && (healthy[k] == 0)) { /* it moves the level that the others did not hold: no sign of heat */
                watch[FLT_AGE] = watch[FLT_ADDED] = zero;
            }
        } else { /* named, or jumped, in this step */
        }
        if (trusted[k] && ((row[FLT_CODE] == FLT_BIAS) || (row[FLT_CODE] == FLT_DRIFT))) {
            ROM_(swap)(r, sensors, rows, k, off, readings_K, expected_K, rise_K[k], trusted);
        }
    }
    watch[FLT_AGE] = watch[FLT_AGE] + r->step_s;
    for (int k = 0; k < sensors; k++) {
        const bool good = usable[k] && (watch[FLT_OF(k, FLT_CODE)] <= FLT_ABSENT);
        believed_K[k] = good ? readings_K[k] : FLT_NOTHING;
        taken += good ? 1 : 0;
    }
    watch[FLT_ALONE] = (taken < 2) ? watch[FLT_ALONE] + r->step_s : zero;
}

/* Note what the readings of a step did: expectations now, what they added to the mean temperature; and, where the heat
   was known, mean heat and cooling, the slow heat that the filter has found with its variance, and what walls conduct. */
ROM_INLINE void ROM_(after)(const ROM_(rules_t) *r, int sensors, real_t *watch, const real_t *expected_K,
                            real_t added_K, bool known, real_t heat_W, real_t cooling_W, real_t slow_W, real_t slow_W2,
                            real_t open_W_K)
{
    const real_t zero = ROM_NUM(0.0), one = ROM_NUM(1.0);
    for (int k = 0; k < sensors; k++) {
        watch[FLT_OF(k, FLT_AFTER)] = expected_K[k];
    }
    if (!known || (watch[FLT_AGE] < r->settle_s) || !ROM_PRESENT(added_K)) {
        return;
    }
    const real_t some = r->step_s / r->heat_s, share = (some < one) ? some : one;
    watch[FLT_ADDED] = watch[FLT_ADDED] + (r->heat_J_K * added_K / r->step_s - watch[FLT_ADDED]) * share;
    watch[FLT_COOLING] = watch[FLT_COOLING] + (cooling_W - watch[FLT_COOLING]) * share;
    const real_t own = r->heat_K_s * r->heat_J_K, told = r->heat * heat_W, cooled = r->cooling * watch[FLT_COOLING];
    const real_t lone = (watch[FLT_ALONE] > zero) ? r->alone_K * r->alone_K : zero; /* an offset reads as cooling */
    const real_t off_W2 = open_W_K * open_W_K * (r->offset_K * r->offset_K + lone);
    const real_t sure = told * told + cooled * cooled + own * own + off_W2, found = watch[FLT_ADDED] + slow_W;
    watch[FLT_HEAT] = found;
    watch[FLT_VARIANCE] = sure + slow_W2;
    const real_t told_W2 = (watch[FLT_HOT] > zero) ? zero : slow_W2; /* while it is sought, that is what seeking costs */
    if ((found > zero) && (found * found > r->heat_limit * (sure + told_W2))) {
        watch[FLT_HOT] = one;
        watch[FLT_CALM] = zero;
    } else if (watch[FLT_HOT] > zero) { /* half of it keeps the flag */
        const bool holds = (found > zero) && (ROM_NUM(4.0) * (found * found) > r->heat_limit * sure);
        watch[FLT_CALM] = holds ? zero : watch[FLT_CALM] + r->step_s;
        watch[FLT_HOT] = (watch[FLT_CALM] > r->recover_s) ? zero : one;
    } else { /* no sign of heat */
    }
}

/* Forget a shift of what the model expects that is no move of it. */
ROM_INLINE void ROM_(shifted)(int sensors, real_t *watch, const real_t *by_K)
{
    for (int k = 0; k < sensors; k++) {
        real_t *row = watch + FLT_CELL + FLT_SENSOR * k;
        row[FLT_THEN] = row[FLT_THEN] + by_K[k];
        row[FLT_AFTER] = row[FLT_AFTER] + by_K[k];
        row[FLT_LAST] = row[FLT_LAST] - by_K[k];
        row[FLT_BEFORE] = row[FLT_BEFORE] - by_K[k];
    }
}
