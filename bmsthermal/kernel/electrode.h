/* electrode.h - one electrode in a step: its tables, its particles, its reaction, the heat of its lithium
 * (bmsthermal.reduced.twin_electrode is its readable twin).
 *
 * Text: cell.h includes it once per size, after cell_model.h.
 */

/* One electrode in a step. */
typedef struct {
    real_t filling[CELL_Q], potential[CELL_Q], entropic[CELL_Q];
    real_t by_filling[CELL_Q], by_salt[CELL_Q]; /* slopes of ln i_0 */
    real_t bend[CELL_Q], slope[CELL_Q]; /* of the potential with the filling, without and with the kinetics */
    real_t give[CELL_Q];               /* slope of the overpotential */
    real_t concentration[CELL_Q], rise[CELL_Q]; /* of the salt, and how the junction and the kinetics rise with it */
    real_t stiff[CELL_Q][CELL_Q];      /* of the electrode's potential against the reaction, weighted */
    real_t current[CELL_Q], held[CELL_Q]; /* reaction now, and over the step, A/m2 of particle */
    real_t share[CELL_Q];              /* of each point in the potential */
    real_t within[CELL_Q], resist[CELL_Q]; /* current of the electrolyte, and its resistivity */
    real_t junction[CELL_Q], junction_slope[CELL_Q];
    real_t turn[CELL_Q], offset[CELL_Q], ohmic[CELL_Q][CELL_Q]; /* 1/(2 i_0), and of the ohmic dissipation */
    real_t solid;                      /* resistivity */
    real_t before, total;              /* current of the electrolyte at the left end, and that turns over inside */
    real_t level;                      /* potential of the electrode against the electrolyte at its separator */
    real_t decay[CELL_M], gain[CELL_M], later[CELL_M]; /* of the modes: at the end, mean of the step, mean of what comes */
} ROM_(side_t);

/* A number held between two others. */
ROM_INLINE real_t ROM_(limit)(real_t x, num_t low, num_t high)
{
    const real_t up = ROM_SELECT(ROM_PART(x) > low, x, low);
    return ROM_SELECT(ROM_PART(up) < high, up, high);
}

/* Where in a table, and how far into the interval; outside it is the end. */
ROM_INLINE rom_index_t ROM_(place)(const ROM_(grid_t) *grid, real_t x, real_t *part)
{
    const real_t at = ROM_(limit)((x - grid->low) * grid->per, ROM_NUM(0.0), grid->last + ROM_NUM(0.999999));
    const rom_index_t i = ROM_INDEX(at);
    *part = at - ROM_REAL(i);
    return i;
}

/* Cubic Hermite in an interval. */
ROM_INLINE real_t ROM_(value)(const num_t left[CELL_COLUMNS], const num_t right[CELL_COLUMNS], int k, real_t s)
{
    const real_t step = right[k] - left[k];
    const real_t rise = left[k + 1] - step;
    const real_t fall = step - right[k + 1];
    return left[k] + s * (step + (ROM_NUM(1.0) - s) * (rise + s * (fall - rise)));
}

/* Its derivative, per interval. */
ROM_INLINE real_t ROM_(slope)(const num_t left[CELL_COLUMNS], const num_t right[CELL_COLUMNS], int k, real_t s)
{
    const real_t step = right[k] - left[k];
    const real_t rise = left[k + 1] - step;
    const real_t bend = (step - right[k + 1]) - rise;
    return step + (ROM_NUM(1.0) - ROM_NUM(2.0) * s) * rise + s * (ROM_NUM(2.0) - ROM_NUM(3.0) * s) * bend;
}

/* Weights of value and slope at the ends of an interval. */
ROM_INLINE void ROM_(weigh)(real_t s, real_t weight[4])
{
    const real_t t = ROM_NUM(1.0) - s;
    weight[0] = t * t * (ROM_NUM(1.0) + ROM_NUM(2.0) * s);
    weight[1] = t * t * s;
    weight[2] = s * s * (ROM_NUM(3.0) - ROM_NUM(2.0) * s);
    weight[3] = -(s * s * t);
}

/* asinh(x), and 1/sqrt(1 + x^2) in `root`. */
ROM_INLINE real_t ROM_(asinh)(real_t x, real_t *root)
{
    const real_t size = ROM_SELECT(ROM_PART(x) < ROM_NUM(0.0), -x, x);
    const real_t square = ROM_NUM(1.0) + x * x;
    *root = rom_root(square);
    const real_t sum = rom_log(size + square * *root);
    return ROM_SELECT(ROM_PART(x) < ROM_NUM(0.0), -sum, sum);
}

/* A x = b for two right sides, A as if of full rank: the electrode's is positive definite. Overwrites all. */
ROM_INLINE void ROM_(eliminate)(real_t A[CELL_Q][CELL_Q], real_t b[CELL_Q], real_t c[CELL_Q], int points)
{
    ROM_FOR
    for (int i = 0; i < points; i++) {
        const real_t over = ROM_OVER(ROM_NUM(1.0), A[i][i]);
        ROM_FOR
        for (int k = i + 1; k < points; k++) {
            const real_t factor = A[k][i] * over;
            ROM_FOR
            for (int l = i + 1; l < points; l++) {
                A[k][l] = A[k][l] - factor * A[i][l];
            }
            b[k] = b[k] - factor * b[i];
            c[k] = c[k] - factor * c[i];
        }
        A[i][i] = over;
    }
    ROM_FOR
    for (int i = points - 1; i >= 0; i--) {
        ROM_FOR
        for (int k = i + 1; k < points; k++) {
            b[i] = b[i] - A[i][k] * b[k];
            c[i] = c[i] - A[i][k] * c[k];
        }
        b[i] = b[i] * A[i][i];
        c[i] = c[i] * A[i][i];
    }
}

/* What the electrolyte is at a point: resistivity and junction potential. Returns D over its reference. */
ROM_INLINE real_t ROM_(electrolyte)(const ROM_(cell_t) *m, const num_t shape[CELL_S], const real_t salt[CELL_S],
                                    real_t *concentration, real_t *resistivity, real_t *junction, real_t *rise)
{
    real_t c = ROM_NUM(1.0);
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        c = c + shape[i] * salt[i];
    }
    c = ROM_SELECT(ROM_PART(c) > m->grid.low, c, m->grid.low);
    real_t s;
    const rom_index_t i = ROM_(place)(&m->grid, c, &s);
    *concentration = c;
    *resistivity = ROM_OVER(ROM_NUM(1.0), ROM_(value)(m->table[i], m->table[i + 1], 0, s));
    *junction = ROM_(value)(m->table[i], m->table[i + 1], 4, s);
    *rise = m->grid.per * ROM_(slope)(m->table[i], m->table[i + 1], 4, s);
    return ROM_(value)(m->table[i], m->table[i + 1], 2, s);
}

/* Particles of an electrode: how its modes answer over a step. */
ROM_INLINE void ROM_(particles)(const ROM_(electrode_t) *e, ROM_(side_t) *side, real_t filling, real_t colder,
                                int points)
{
    real_t s, away = -filling; /* of the surfaces from the mean, in the mean of the points */
    ROM_FOR
    for (int q = 0; q < points; q++) {
        away = away + e->weight[q] * side->filling[q];
    }
    const rom_index_t at = ROM_(place)(&e->grid, filling + e->lean * away, &s);
    const real_t fast = e->diffusion_heat * colder + ROM_(value)(e->table[at], e->table[at + 1], 4, s);
    const rom_index_t i = ROM_(place)(&e->pace_grid, fast, &s);
    real_t w[4];
    ROM_(weigh)(s, w);
    const num_t(*left)[CELL_M] = e->pace[i], (*right)[CELL_M] = e->pace[i + 1];
    ROM_FOR
    for (int k = 0; k < CELL_M; k++) {
        side->decay[k] = (w[0] * left[0][k] + w[1] * left[1][k]) + (w[2] * right[0][k] + w[3] * right[1][k]);
        side->gain[k] = (w[0] * left[2][k] + w[1] * left[3][k]) + (w[2] * right[2][k] + w[3] * right[3][k]);
        side->later[k] = (w[0] * left[4][k] + w[1] * left[5][k]) + (w[2] * right[4][k] + w[3] * right[5][k]);
    }
}

/* What an electrode that carries `total` sees before its reaction is known; `before` of the current comes through its
 * left end. Ohmic dissipation is a quadratic form of the reaction, in `ohmic` and `offset`. */
ROM_INLINE void ROM_(meet)(const ROM_(cell_t) *m, const ROM_(electrode_t) *e, ROM_(side_t) *side,
                           const real_t modes[CELL_M], real_t filling, real_t current, real_t before, real_t total, real_t T, real_t per, real_t solid,
                           num_t entropic, int points)
{
    const real_t warm = T - m->reference_K;
    side->solid = solid;
    side->before = before;
    side->total = total;
    ROM_FOR
    for (int q = 0; q < points; q++) {
        real_t away = ROM_NUM(0.0);
        ROM_FOR
        for (int i = 0; i < CELL_M; i++) {
            away = away + e->surface[q][i] * modes[i];
        }
        const real_t x = ROM_(limit)(filling + away, ROM_NUM(0.0001), ROM_NUM(0.9999));
        real_t s;
        const rom_index_t at = ROM_(place)(&e->grid, x, &s);
        const num_t *left = e->table[at], *right = e->table[at + 1];
        side->filling[q] = x;
        side->entropic[q] = entropic * ROM_(value)(left, right, 2, s);
        /* U(T) = U_H + T_ref dU/dT (1 as made) + (T - T_ref) dU/dT scaled */
        side->potential[q] = ROM_(value)(left, right, 0, s) + m->reference_K * ROM_(value)(left, right, 2, s)
                             + warm * side->entropic[q] - e->stress * away;
        side->bend[q] = e->grid.per * (ROM_(slope)(left, right, 0, s)
                         + (m->reference_K + warm * entropic) * ROM_(slope)(left, right, 2, s)) - e->stress;
        const real_t room = x * (ROM_NUM(1.0) - x), c = side->concentration[q];
        const real_t root = rom_root(c * room);
        side->turn[q] = per * root; /* 1/(2 i_0) */
        /* ln i_0 goes with half of ln c x (1 - x) */
        side->by_filling[q] = ROM_NUM(0.5) * root * root * c * (ROM_NUM(1.0) - ROM_NUM(2.0) * x);
        side->by_salt[q] = ROM_NUM(0.5) * root * root * room;
    }
    ROM_FOR
    for (int q = 0; q < points; q++) {
        side->offset[q] = ROM_NUM(0.0);
        ROM_FOR
        for (int p = 0; p < points; p++) {
            side->ohmic[q][p] = ROM_NUM(0.0);
        }
        ROM_FOR
        for (int r = 0; r < points; r++) {
            const num_t pull = e->pull[q][r];
            side->offset[q] = side->offset[q] + pull * (side->resist[r] * before - side->solid * (current - before));
            const real_t both = pull * (side->resist[r] + side->solid);
            ROM_FOR
            for (int p = 0; p < points; p++) {
                side->ohmic[q][p] = side->ohmic[q][p] + both * e->flow[r][p];
            }
        }
        side->current[q] = total / e->area;
    }
}

/* Butler-Volmer at each point, alpha = 1/2: overpotential `over` and its slope. */
ROM_INLINE void ROM_(kinetics)(const ROM_(electrode_t) *e, ROM_(side_t) *side, real_t f2, real_t over[CELL_Q], int points)
{
    ROM_FOR
    for (int q = 0; q < points; q++) {
        real_t root;
        over[q] = f2 * ROM_(asinh)(side->turn[q] * side->current[q], &root);
        side->give[q] = f2 * side->turn[q] * root + e->film;
    }
}

/* The same at the uniform reaction to begin with, from the mean of all points and less what is common to them:
 * a first round needs no more. Padé (1, 1) of asinh, (0, 1) of its derivative. */
ROM_INLINE void ROM_(nearby)(const ROM_(electrode_t) *e, ROM_(side_t) *side, real_t f2, real_t over[CELL_Q], int points)
{
    const real_t j = side->current[0];
    real_t mean = ROM_NUM(0.0);
    ROM_FOR
    for (int q = 0; q < points; q++) {
        mean = mean + e->weight[q] * side->turn[q];
    }
    const real_t x = mean * j;
    const real_t root = rom_root(ROM_NUM(1.0) + x * x), slope = f2 * root;
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const real_t away = (side->turn[q] - mean) * j;
        const real_t bend = root * root * x * away;
        over[q] = ROM_OVER(slope * away, ROM_NUM(1.0) + ROM_NUM(0.5) * bend);
        side->give[q] = ROM_OVER(slope * side->turn[q], ROM_NUM(1.0) + bend) + e->film;
    }
}

/* A round of Newton's towards the reaction at which the electrode dissipates least. */
ROM_INLINE void ROM_(react)(const ROM_(electrode_t) *e, ROM_(side_t) *side, const real_t over[CELL_Q], int points)
{
    real_t A[CELL_Q][CELL_Q], ones[CELL_Q], miss[CELL_Q];
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const num_t w = e->reach[q];
        real_t pull = side->offset[q];
        ROM_FOR
        for (int p = 0; p < points; p++) {
            pull = pull + side->ohmic[q][p] * side->current[p];
            A[q][p] = side->ohmic[q][p];
        }
        A[q][q] = A[q][q] + w * side->give[q];
        ROM_FOR
        for (int p = 0; p < points; p++) {
            side->stiff[q][p] = A[q][p];
        }
        ones[q] = ROM_EACH(w);
        miss[q] = w * (side->potential[q] + over[q] + e->film * side->current[q] + side->junction[q]) + pull;
    }
    ROM_(eliminate)(A, ones, miss, points);
    real_t sum = ROM_NUM(0.0), left = side->total;
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const num_t w = e->reach[q];
        sum = sum + w * ones[q];
        left = left + w * (miss[q] - side->current[q]);
    }
    const real_t per = ROM_OVER(ROM_NUM(1.0), sum);
    side->level = left * per;
    ROM_FOR
    for (int q = 0; q < points; q++) {
        side->share[q] = e->reach[q] * ones[q] * per;
        side->current[q] = side->current[q] + side->level * ones[q] - miss[q];
    }
}

/* How the potential goes with filling and salt under the reaction found, and the current of the electrolyte. */
ROM_INLINE void ROM_(settle)(const ROM_(electrode_t) *e, ROM_(side_t) *side, real_t f2, int points)
{
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const real_t gap = side->current[q] * (side->give[q] - e->film); /* -d over / d ln i_0 */
        side->slope[q] = side->bend[q] - gap * side->by_filling[q];
        side->rise[q] = f2 * side->rise[q] - gap * side->by_salt[q];
        real_t sum = side->before;
        ROM_FOR
        for (int p = 0; p < points; p++) {
            sum = sum + e->flow[q][p] * side->current[p];
        }
        side->within[q] = sum;
    }
}

/* The reaction to hold over the step: the same, where the particles are at its end. */
ROM_INLINE void ROM_(hold)(const ROM_(electrode_t) *e, ROM_(side_t) *side, const real_t modes[CELL_M], int points)
{
    real_t A[CELL_Q][CELL_Q], answer[CELL_Q][CELL_Q], ones[CELL_Q], miss[CELL_Q], relax[CELL_M], mean = ROM_NUM(0.0);
    ROM_FOR
    for (int i = 0; i < CELL_M; i++) {
        relax[i] = (ROM_NUM(1.0) - side->decay[i]) * modes[i];
    }
    ROM_FOR
    for (int q = 0; q < points; q++) {
        mean = mean + e->weight[q] * side->current[q];
    }
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const num_t w = e->reach[q];
        /* where filling helps the reaction on, as at the ends of the filling, it is held as it is: A stays definite */
        const real_t slope = ROM_SELECT(ROM_PART(side->slope[q]) < ROM_NUM(0.0), side->slope[q], ROM_EACH(ROM_NUM(0.0)));
        real_t moved = -(e->fill * mean);
        ROM_FOR
        for (int i = 0; i < CELL_M; i++) {
            moved = moved - e->surface[q][i] * relax[i];
        }
        ROM_FOR
        for (int p = 0; p < points; p++) {
            if (p >= q) {
                answer[q][p] = ROM_NUM(0.0);
                ROM_FOR
                for (int i = 0; i < CELL_M; i++) {
                    answer[q][p] = answer[q][p] + e->surface[q][i] * side->gain[i] * e->surface[p][i];
                }
                answer[p][q] = answer[q][p];
            }
            const real_t found = e->fill * e->weight[p] * answer[q][p];
            moved = moved - found * side->current[p];
            A[q][p] = side->stiff[q][p] - w * slope * (found + e->fill * e->weight[p]);
        }
        ones[q] = ROM_EACH(w);
        miss[q] = w * slope * moved;
    }
    ROM_(eliminate)(A, ones, miss, points);
    real_t sum = ROM_NUM(0.0), left = ROM_NUM(0.0);
    ROM_FOR
    for (int q = 0; q < points; q++) {
        const num_t w = e->reach[q];
        sum = sum + w * ones[q];
        left = left + w * miss[q];
    }
    const real_t level = ROM_OVER(left, sum);
    ROM_FOR
    for (int q = 0; q < points; q++) {
        side->held[q] = side->current[q] + level * ones[q] - miss[q];
    }
}

/* Step the particles. Returns the enthalpy that they give up, in W/m2; `relaxed` is what the mean over the step
 * changes the electrode's level by, `surfaced` the enthalpy that passes their surfaces. */
ROM_INLINE real_t ROM_(diffuse)(const ROM_(cell_t) *m, const ROM_(electrode_t) *e, ROM_(side_t) *side,
                                real_t modes[CELL_M], real_t filling, real_t *change, real_t *relaxed,
                                real_t *surfaced, real_t T, num_t entropic, int points)
{
    real_t middle[CELL_M], step[CELL_M], mean[CELL_M], flow = ROM_NUM(0.0);
    ROM_FOR
    for (int q = 0; q < points; q++) {
        flow = flow + e->weight[q] * side->held[q];
    }
    *change = -(e->fill * flow);
    ROM_FOR
    for (int i = 0; i < CELL_M; i++) {
        real_t drive = ROM_NUM(0.0);
        ROM_FOR
        for (int q = 0; q < points; q++) {
            drive = drive + e->surface[q][i] * e->weight[q] * side->held[q];
        }
        drive = e->fill * drive;
        const real_t before = modes[i];
        modes[i] = side->decay[i] * before - side->gain[i] * drive;
        step[i] = modes[i] - before;
        middle[i] = ROM_NUM(0.5) * (modes[i] + before);
        mean[i] = side->gain[i] * before - side->later[i] * drive - before;
    }
    const num_t scaled = m->reference_K * (ROM_NUM(1.0) - entropic); /* U - T dU/dT of another dU/dT */
    real_t heat = ROM_NUM(0.0);
    *relaxed = ROM_NUM(0.0);
    *surfaced = ROM_NUM(0.0);
    ROM_FOR
    for (int q = 0; q < points; q++) {
        real_t moved = ROM_NUM(0.5) * *change, sum = ROM_NUM(0.0), full = ROM_NUM(0.0), place[CELL_R], by[CELL_R];
        ROM_FOR
        for (int i = 0; i < CELL_M; i++) {
            moved = moved + e->surface[q][i] * mean[i];
        }
        *relaxed = *relaxed + side->share[q] * side->slope[q] * moved;
        ROM_FOR
        for (int r = 0; r < CELL_R; r++) {
            place[r] = filling + ROM_NUM(0.5) * *change;
            by[r] = *change;
        }
        ROM_FOR
        for (int i = 0; i < CELL_M; i++) {
            ROM_FOR
            for (int r = 0; r < CELL_R; r++) {
                place[r] = place[r] + e->inside[q][i][r] * middle[i];
                by[r] = by[r] + e->inside[q][i][r] * step[i];
            }
        }
        if (e->stress != ROM_NUM(0.0)) {
            ROM_FOR
            for (int r = 0; r < CELL_R; r++) {
                full = full + e->share[r] * place[r];
            }
        }
        ROM_FOR
        for (int r = 0; r < CELL_R; r++) {
            real_t s;
            const rom_index_t at = ROM_(place)(&e->grid, place[r], &s);
            const num_t *left = e->table[at], *right = e->table[at + 1];
            real_t enthalpic = ROM_(value)(left, right, 0, s);
            if (e->stress != ROM_NUM(0.0)) {
                enthalpic = enthalpic - e->stress * (place[r] - full);
            }
            if (scaled != ROM_NUM(0.0)) {
                enthalpic = enthalpic + scaled * ROM_(value)(left, right, 2, s);
            }
            sum = sum + e->share[r] * enthalpic * by[r];
        }
        heat = heat + e->weight[q] * sum;
        /* lithium enters and leaves at the enthalpy of the surface, in the mean of the step */
        *surfaced = *surfaced + e->reach[q] * side->held[q]
            * (side->potential[q] - T * side->entropic[q] + side->bend[q] * moved);
    }
    return e->stored * heat;
}
