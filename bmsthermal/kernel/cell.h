/* cell.h - the coupled model in a handful of states (bmsthermal.reduced.twin is its readable twin).
 *
 *   lithium    share of the negative particles that is filled; the positive ones hold the rest
 *   modes      what diffusion adds to that at the points of each electrode: x' = -rate D x - surface' j
 *   salt       shapes of the electrolyte's concentration
 *   thermal    modes of conduction (step.h)
 *
 * A step: the reaction at each point is where the electrode dissipates least
 * (Newton), which is the voltage; the reaction that holds over the step knows
 * its end (linearly implicit); particles are held exactly, salt is of second
 * order; the heat is what the stored energy and the work leave, so that energy
 * closes; the wall flow is solved at the end of the step.
 *
 * Text: include it once per size, after step.h with the same ROM_(name), with
 * CELL_QN and CELL_QP points of the electrodes, CELL_M modes each, CELL_S salt
 * shapes and CELL_R nodes along a radius. Smaller models are padded with zeros.
 */
#include "cell_model.h"
#include "electrode.h"

/* (1 + g K)^-1 twice: an L-stable step of second order (Alexander 1977) of salt with its D held. */
ROM_INLINE void ROM_(spread)(const ROM_(cell_t) *m, real_t salt[CELL_S], const real_t D[2 * CELL_Q + 1],
                             const real_t source[CELL_S], real_t mean[CELL_S])
{
    const num_t g = ROM_NUM(0.29289321881345248); /* 1 - 1/sqrt(2) */
    real_t K[CELL_S][CELL_S], A[CELL_S][CELL_S], first[CELL_S], second[CELL_S];
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        ROM_FOR
        for (int k = 0; k < CELL_S; k++) {
            real_t sum = ROM_NUM(0.0);
            ROM_FOR
            for (int q = 0; q < 2 * CELL_Q + 1; q++) {
                sum = sum + D[q] * m->spread[q][i][k];
            }
            K[i][k] = sum;
            A[i][k] = g * sum;
        }
        A[i][i] = A[i][i] + ROM_NUM(1.0);
    }
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        first[i] = source[i];
        ROM_FOR
        for (int k = 0; k < CELL_S; k++) {
            first[i] = first[i] - K[i][k] * salt[k];
        }
        second[i] = first[i];
    }
    /* A k1 = f(y), A k2 = f(y + (1 - g) k1) */
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        const real_t over = ROM_OVER(ROM_NUM(1.0), A[i][i]);
        ROM_FOR
        for (int k = i + 1; k < CELL_S; k++) {
            const real_t factor = A[k][i] * over;
            ROM_FOR
            for (int l = i + 1; l < CELL_S; l++) {
                A[k][l] = A[k][l] - factor * A[i][l];
            }
            A[k][i] = factor;
        }
        A[i][i] = over;
    }
    for (int round = 0; round < 2; round++) {
        real_t *b = round ? second : first;
        if (round) {
            ROM_FOR
            for (int i = 0; i < CELL_S; i++) {
                ROM_FOR
                for (int k = 0; k < CELL_S; k++) {
                    second[i] = second[i] - (ROM_NUM(1.0) - g) * K[i][k] * first[k];
                }
            }
        }
        ROM_FOR
        for (int i = 0; i < CELL_S; i++) {
            ROM_FOR
            for (int k = 0; k < i; k++) {
                b[i] = b[i] - A[i][k] * b[k];
            }
        }
        ROM_FOR
        for (int i = CELL_S - 1; i >= 0; i--) {
            ROM_FOR
            for (int k = i + 1; k < CELL_S; k++) {
                b[i] = b[i] - A[i][k] * b[k];
            }
            b[i] = b[i] * A[i][i];
        }
    }
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        const real_t change = (ROM_NUM(1.0) - g) * first[i] + g * second[i];
        mean[i] = ROM_NUM(0.5) * change;
        salt[i] = salt[i] + change;
    }
}

/* Rest at a filling and a temperature. */
ROM_INLINE void ROM_(rest)(const ROM_(cell_t) *m, ROM_(cell_state_t) *state, num_t filling, num_t temperature_K)
{
    const ROM_(cell_state_t) none = {0};
    *state = none;
    state->lithium = filling;
    state->thermal[0] = (temperature_K - m->zero_K) / m->read[1][0];
}

/* Voltage at the present state and current, heat over the step, then the step. */
ROM_INLINE void ROM_(cell_step)(const ROM_(cell_t) *m, const ROM_(cell_use_t) *use, const ROM_(walls_t) *walls,
                                ROM_(cell_state_t) *state, real_t current_A, const real_t coolant[ROM_W_MAX],
                                ROM_(cell_out_t) *out)
{
    ROM_(side_t) negative, positive;
    const num_t area = use->area * m->area_m2;
    const real_t I = current_A / area;
    real_t D[2 * CELL_Q + 1], through, junction, c;
    ROM_FOR
    for (int k = 0; k < 2 + ROM_W_MAX; k++) {
        out->temperature[k] = ROM_(dot)(m->read[k], state->thermal) + m->zero_K;
    }
    const real_t T = ROM_(limit)(out->temperature[1], ROM_NUM(150.0), ROM_NUM(1500.0));
    const real_t colder = ROM_NUM(1.0) / m->reference_K - ROM_OVER(ROM_NUM(1.0), T);
    real_t part, w[4], warm[CELL_WARMED];
    const rom_index_t at = ROM_(place)(&m->warm_grid, T, &part);
    ROM_(weigh)(part, w);
    ROM_FOR
    for (int k = 0; k < CELL_WARMED; k++) {
        const num_t *left = m->warm[at], *right = m->warm[at + 1];
        warm[k] = (w[0] * left[k] + w[1] * left[k + CELL_WARMED])
                  + (w[2] * right[k] + w[3] * right[k + CELL_WARMED]);
    }
    const real_t resist = warm[ROM_(resist)], spread = warm[ROM_(spread_)];
    const real_t f2 = m->thermal_voltage * T;
    const real_t filled = m->positive_at - m->positive_per * state->lithium;

    for (int q = 0; q < 2 * CELL_Q + 1; q++) {
        D[q] = ROM_NUM(0.0);
    }
    ROM_FOR
    for (int q = 0; q < CELL_QN; q++) {
        D[q] = spread * ROM_(electrolyte)(m, m->negative.salt[q], state->salt, &negative.concentration[q],
                                          &negative.resist[q], &junction, &negative.rise[q]);
        negative.resist[q] = negative.resist[q] * resist * m->negative.pores;
        negative.junction[q] = f2 * junction;
    }
    D[CELL_Q] = spread * ROM_(electrolyte)(m, m->separator_salt, state->salt, &c, &through, &junction, &c);
    through = through * resist * m->separator;
    ROM_FOR
    for (int q = 0; q < CELL_QP; q++) {
        D[CELL_Q + 1 + q] = spread * ROM_(electrolyte)(m, m->positive.salt[q], state->salt, &positive.concentration[q],
                                                       &positive.resist[q], &junction, &positive.rise[q]);
        positive.resist[q] = positive.resist[q] * resist * m->positive.pores;
        positive.junction[q] = f2 * junction;
    }
    ROM_(meet)(m, &m->negative, &negative, state->negative, state->lithium, I, ROM_NUM(0.0), I, T,
               warm[ROM_(turn_negative)], warm[ROM_(solid_negative)], use->entropic, CELL_QN);
    ROM_(meet)(m, &m->positive, &positive, state->positive, filled, I, I, -I, T,
               warm[ROM_(turn_positive)], warm[ROM_(solid_positive)], use->entropic, CELL_QP);
    ROM_(particles)(&m->negative, &negative, state->lithium, colder, CELL_QN);
    ROM_(particles)(&m->positive, &positive, filled, colder, CELL_QP);
    /* the two electrodes side by side: neither waits for the other */
    real_t over_n[CELL_Q], over_p[CELL_Q];
    ROM_(nearby)(&m->negative, &negative, f2, over_n, CELL_QN);
    ROM_(nearby)(&m->positive, &positive, f2, over_p, CELL_QP);
    ROM_(react)(&m->negative, &negative, over_n, CELL_QN);
    ROM_(react)(&m->positive, &positive, over_p, CELL_QP);
    ROM_(kinetics)(&m->negative, &negative, f2, over_n, CELL_QN);
    ROM_(kinetics)(&m->positive, &positive, f2, over_p, CELL_QP);
    ROM_(react)(&m->negative, &negative, over_n, CELL_QN);
    ROM_(react)(&m->positive, &positive, over_p, CELL_QP);
    ROM_(settle)(&m->negative, &negative, f2, CELL_QN);
    ROM_(settle)(&m->positive, &positive, f2, CELL_QP);
    real_t salt_rise[CELL_S];
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        salt_rise[i] = ROM_NUM(0.0);
        ROM_FOR
        for (int q = 0; q < CELL_QN; q++) {
            salt_rise[i] = salt_rise[i] - negative.share[q] * negative.rise[q] * m->negative.salt[q][i];
        }
        ROM_FOR
        for (int q = 0; q < CELL_QP; q++) {
            salt_rise[i] = salt_rise[i] + positive.share[q] * positive.rise[q] * m->positive.salt[q][i];
        }
    }

    /* V = level_p - level_n - d(dissipation)/dI */
    const real_t series = (m->contact + use->resistance) * area;
    real_t drop = (through + series) * I, ohmic = through * I * I;
    ROM_FOR
    for (int q = 0; q < CELL_QN; q++) {
        const real_t solid = I - negative.within[q];
        const num_t w = m->negative.thickness * m->negative.weight[q];
        drop = drop + w * negative.solid * solid;
        ohmic = ohmic + w * (negative.solid * solid * solid + negative.resist[q] * negative.within[q] * negative.within[q])
                + m->negative.reach[q] * negative.current[q] * negative.junction[q];
    }
    ROM_FOR
    for (int q = 0; q < CELL_QP; q++) {
        const real_t solid = I - positive.within[q];
        const num_t w = m->positive.thickness * m->positive.weight[q];
        drop = drop + w * positive.resist[q] * positive.within[q];
        ohmic = ohmic + w * (positive.solid * solid * solid + positive.resist[q] * positive.within[q] * positive.within[q])
                + m->positive.reach[q] * positive.current[q] * positive.junction[q];
    }
    out->voltage = positive.level - negative.level - drop;

    /* the step of salt and particles under the reaction that holds over it */
    ROM_(hold)(&m->negative, &negative, state->negative, CELL_QN);
    ROM_(hold)(&m->positive, &positive, state->positive, CELL_QP);
    real_t source[CELL_S], mean[CELL_S];
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        source[i] = ROM_NUM(0.0);
        ROM_FOR
        for (int q = 0; q < CELL_QN; q++) {
            source[i] = source[i] + m->negative.source[i][q] * negative.held[q];
        }
        ROM_FOR
        for (int q = 0; q < CELL_QP; q++) {
            source[i] = source[i] + m->positive.source[i][q] * positive.held[q];
        }
    }
    ROM_(spread)(m, state->salt, D, source, mean);
    real_t change_n, change_p, relaxed_n, relaxed_p, surfaced_n, surfaced_p;
    real_t given = ROM_(diffuse)(m, &m->negative, &negative, state->negative, state->lithium, &change_n, &relaxed_n,
                                 &surfaced_n, T, use->entropic, CELL_QN);
    given = given + ROM_(diffuse)(m, &m->positive, &positive, state->positive, filled, &change_p, &relaxed_p,
                                  &surfaced_p, T, use->entropic, CELL_QP);
    real_t later = relaxed_p - relaxed_n; /* mean of the voltage over the step less its start */
    ROM_FOR
    for (int i = 0; i < CELL_S; i++) {
        later = later + salt_rise[i] * mean[i];
    }

    /* lithium with a carry: ten million steps of a small current are not lost in single precision */
    const real_t add = change_n - state->carry;
    const real_t sum = state->lithium + add;
    state->carry = (sum - state->lithium) - add;
    state->lithium = sum;

    const real_t heat = given - I * (out->voltage + later);
    real_t turned = ROM_NUM(0.0);
    ROM_FOR
    for (int q = 0; q < CELL_QN; q++) {
        turned = turned + m->negative.reach[q] * negative.current[q] * negative.entropic[q];
    }
    ROM_FOR
    for (int q = 0; q < CELL_QP; q++) {
        turned = turned + m->positive.reach[q] * positive.current[q] * positive.entropic[q];
    }
    out->heat = area * heat;
    out->contact = area * series * I * I;
    out->ohmic = area * ohmic;
    out->reversible = area * T * turned;
    out->mixing = area * (given + surfaced_n + surfaced_p);
    out->reaction = out->heat - out->contact - out->ohmic - out->reversible - out->mixing;

    ROM_(drive)(&m->conduction, state->thermal, &out->heat);
    ROM_(exchange)(&m->conduction, walls, state->thermal, coolant);
}
