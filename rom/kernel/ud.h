/* ud.h - a covariance kept as P = U D U', U unit upper triangular, D diagonal (rom.ud is its readable twin).
 *
 * No entry of D is ever negative, whatever is rounded; P itself may lose its sign in single precision.
 * Thornton (1976), time update; Bierman, Factorization Methods for Discrete Sequential Estimation (1977),
 * measurement; Agee and Turner (1972), rank one.
 *
 * Text: include it once per size, after real.h, with UD_N states, UD_G columns of process noise and ROM_(name)
 * giving each size its own names. Factors are packed by rows of the upper triangle, with D on the diagonal. States
 * at the end that are not used have variance 0 and rows of zeros in F, G and every row: the others do not notice.
 * Matrices are flat, row after row. Nothing overlaps but what is named as the place of a result.
 */

/* No entry of U or D exceeds it. A state whose variance would, after a time update, is unknown: that variance,
   uncorrelated with the others. So nothing overflows, and not a number goes nowhere. */
#define UD_MOST ROM_NUM(1.0e18)
#define UD_INSIDE(x) (((x) > -UD_MOST) & ((x) < UD_MOST))
#define UD_P (UD_N * (UD_N + 1) / 2)
#define UD_W (UD_N + UD_G)
#define UD_AT(i, j) ((i) * (2 * UD_N + 1 - (i)) / 2 + (j) - (i)) /* i <= j */
#define UD_OVER(x) ROM_SELECT((x) > ROM_NUM(0.0), (x), ROM_EACH(ROM_NUM(1.0))) /* safe to divide by */

/* P <- F P F' + G diag(q) G': F[i UD_N + j], G[i UD_G + k]. Modified Gram-Schmidt on the rows of (F U, G). A q that
   is not above 0 counts as 0. */
ROM_INLINE void ROM_(ud_predict)(real_t ud[UD_P], const real_t *F, const real_t *G, const real_t *q)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    real_t W[UD_N][UD_W], weight[UD_W], lost[UD_N], v[UD_W];

    for (int k = 0; k < UD_W; k++) {
        const real_t given = (k < UD_N) ? ud[UD_AT(k, k)] : q[k - UD_N];
        weight[k] = ROM_SELECT(given > ROM_NUM(0.0), given, zero);
    }
    for (int i = 0; i < UD_N; i++) {
        real_t variance = zero;
        for (int k = 0; k < UD_W; k++) {
            real_t sum = (k < UD_N) ? F[i * UD_N + k] : G[i * UD_G + k - UD_N];
            for (int j = 0; (k < UD_N) && (j < k); j++) {
                sum = sum + F[i * UD_N + j] * ud[UD_AT(j, k)];
            }
            W[i][k] = ROM_SELECT(weight[k] > ROM_NUM(0.0), sum, zero);
            variance = variance + weight[k] * W[i][k] * W[i][k];
        }
        ROM_FOR
        for (int k = 0; k < UD_W; k++) { /* not a number, too: the comparison fails */
            W[i][k] = ROM_SELECT(variance < UD_MOST, W[i][k], zero);
        }
        lost[i] = ROM_SELECT(variance < UD_MOST, zero, ROM_EACH(UD_MOST));
    }
    for (int j = UD_N - 1; j >= 0; j--) {
        real_t d = lost[j];
        ROM_FOR
        for (int k = 0; k < UD_W; k++) {
            v[k] = weight[k] * W[j][k];
            d = d + v[k] * W[j][k];
        }
        ud[UD_AT(j, j)] = d;
        for (int i = 0; i < j; i++) {
            real_t u = zero;
            ROM_FOR
            for (int k = 0; k < UD_W; k++) {
                u = u + W[i][k] * v[k];
            }
            u = u / UD_OVER(d);
            u = ROM_SELECT(UD_INSIDE(u), u, zero); /* then the variance stays with i */
            ud[UD_AT(i, j)] = u;
            ROM_FOR
            for (int k = 0; k < UD_W; k++) {
                W[i][k] = W[i][k] - u * W[j][k];
            }
        }
    }
}

/* f = U' row; D f goes to Df if it is wanted. Returns row' P row. */
ROM_INLINE real_t ROM_(ud_seen)(const real_t ud[UD_P], const real_t row[UD_N], real_t start, real_t f[UD_N],
                                real_t Df[UD_N])
{
    real_t sum = start;
    for (int j = 0; j < UD_N; j++) {
        f[j] = row[j];
        for (int i = 0; i < j; i++) {
            f[j] = f[j] + row[i] * ud[UD_AT(i, j)];
        }
        Df[j] = ud[UD_AT(j, j)] * f[j];
        sum = sum + Df[j] * f[j];
    }
    return sum;
}

/* A reading of row' x with that variance, counted `weight` times (variance / weight): gain of the innovation, whose
   variance is returned. Where the weight is 0, or a number is not one, nothing changes and gain and variance are 0. */
ROM_INLINE real_t ROM_(ud_measure)(real_t ud[UD_P], const real_t row[UD_N], real_t variance, real_t weight,
                                   real_t gain[UD_N])
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    real_t f[UD_N], before = variance / UD_OVER(weight);
    const real_t S = ROM_(ud_seen)(ud, row, before, f, gain);
    const rom_test_t taken = (weight > ROM_NUM(0.0)) & (variance >= ROM_NUM(0.0)) & (S > ROM_NUM(0.0))
                             & (S < UD_MOST * UD_MOST);
    for (int j = 0; j < UD_N; j++) {
        const real_t after = before + gain[j] * f[j], d = ud[UD_AT(j, j)], pull = f[j] / UD_OVER(before);
        ud[UD_AT(j, j)] = ROM_SELECT(taken & (after > ROM_NUM(0.0)), d * (before / UD_OVER(after)), d);
        for (int i = 0; i < j; i++) {
            const real_t old = ud[UD_AT(i, j)], u = old - pull * gain[i];
            gain[i] = gain[i] + gain[j] * old;
            ud[UD_AT(i, j)] = ROM_SELECT(taken & UD_INSIDE(u), u, old);
        }
        before = after;
    }
    ROM_FOR
    for (int i = 0; i < UD_N; i++) {
        gain[i] = ROM_SELECT(taken, gain[i] / UD_OVER(S), zero);
    }
    return ROM_SELECT(taken, S, zero);
}

/* P <- P + weight a a', weight > 0 (else nothing): e_k makes state k that much less sure. */
ROM_INLINE void ROM_(ud_inflate)(real_t ud[UD_P], const real_t vector[UD_N], real_t weight)
{
    real_t a[UD_N], c = ROM_SELECT(weight > ROM_NUM(0.0), weight, ROM_EACH(ROM_NUM(0.0)));
    ROM_FOR
    for (int i = 0; i < UD_N; i++) {
        a[i] = vector[i];
    }
    for (int j = UD_N - 1; j >= 0; j--) {
        const real_t ca = c * a[j], d = ud[UD_AT(j, j)], sum = d + ca * a[j];
        const real_t pull = ca / UD_OVER(sum), keep = d / UD_OVER(sum);
        ud[UD_AT(j, j)] = ROM_SELECT(sum < UD_MOST, sum, ROM_EACH(UD_MOST));
        c = ROM_SELECT(sum > ROM_NUM(0.0), c * keep, c);
        for (int i = 0; i < j; i++) {
            const real_t old = ud[UD_AT(i, j)], u = keep * old + pull * a[i]; /* a mean: nothing cancels */
            ud[UD_AT(i, j)] = ROM_SELECT(UD_INSIDE(u), u, old);
            a[i] = a[i] - a[j] * old;
        }
    }
}

/* Variance of a state, a diagonal element of P. */
ROM_INLINE real_t ROM_(ud_variance)(const real_t ud[UD_P], int state)
{
    real_t sum = ud[UD_AT(state, state)];
    for (int j = state + 1; j < UD_N; j++) {
        sum = sum + ud[UD_AT(j, j)] * ud[UD_AT(state, j)] * ud[UD_AT(state, j)];
    }
    return sum;
}

/* Variance of row' x. */
ROM_INLINE real_t ROM_(ud_spread)(const real_t ud[UD_P], const real_t row[UD_N])
{
    real_t f[UD_N], Df[UD_N];
    return ROM_(ud_seen)(ud, row, ROM_EACH(ROM_NUM(0.0)), f, Df);
}

/* x <- x + dx, and what rounding took away is carried to the next one: x - carry is the sum (Kahan 1965). */
ROM_INLINE void ROM_(ud_add)(real_t x[UD_N], real_t carry[UD_N], const real_t dx[UD_N])
{
    ROM_FOR
    for (int i = 0; i < UD_N; i++) {
        const real_t add = dx[i] - carry[i], sum = x[i] + add;
        carry[i] = (sum - x[i]) - add;
        x[i] = sum;
    }
}

#undef UD_P
#undef UD_W
#undef UD_AT
#undef UD_OVER
#undef UD_INSIDE
#undef UD_MOST
