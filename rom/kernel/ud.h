/* ud.h - a covariance kept as P = U D U', U unit upper triangular, D diagonal (rom.ud is its readable twin).
 *
 * No entry of D is ever negative, whatever is rounded; P itself may lose its sign in single precision.
 * Thornton (1976), time update; Bierman, Factorization Methods for Discrete Sequential Estimation (1977),
 * measurement; Agee and Turner (1972), rank one.
 *
 * Text: include it once per size, after real.h, with UD_ROOM for states, UD_COLUMNS for columns of process noise, and
 * UD_(name) giving each size its own names. Of that room n states and g columns are used: all of it on a target.
 * Factors are packed by rows of the upper triangle, with D on the diagonal. Matrices are flat, row after row. Nothing
 * overlaps but what is named as the place of a result.
 */

/* No entry of U or D exceeds it. A state whose variance would, after a time update, is unknown: that variance,
   uncorrelated with the others. So nothing overflows, and not a number goes nowhere. */
#define UD_MOST ROM_NUM(1.0e18)
#define UD_INSIDE(x) ROM_BOTH((x) > -UD_MOST, (x) < UD_MOST)
#define UD_AT(i, j) ((i) * (2 * n + 1 - (i)) / 2 + (j) - (i)) /* i <= j */
#define UD_OVER(x) ROM_SELECT((x) > ROM_NUM(0.0), (x), ROM_EACH(ROM_NUM(1.0))) /* safe to divide by */

/* P <- F P F' + G diag(q) G': F[i n + j], G[i g + k]. Modified Gram-Schmidt on the rows of (F U, G). A q that
   is not above 0 counts as 0. */
ROM_INLINE void UD_(predict)(int n, int g, real_t *ud, const real_t *F, const real_t *G, const real_t *q)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    real_t W[UD_ROOM][UD_ROOM + UD_COLUMNS], weight[UD_ROOM + UD_COLUMNS], lost[UD_ROOM];
    real_t v[UD_ROOM + UD_COLUMNS];

    for (int k = 0; k < n + g; k++) {
        const real_t given = (k < n) ? ud[UD_AT(k, k)] : q[k - n];
        weight[k] = ROM_SELECT(given > ROM_NUM(0.0), given, zero);
    }
    for (int k = 0; k < UD_ROOM + UD_COLUMNS; k++) { /* all of it: compilers do not see that k < n + g is all that is read */
        v[k] = zero;
    }
    for (int i = 0; i < n; i++) {
        real_t variance = zero;
        for (int k = 0; k < n + g; k++) {
            real_t sum = (k < n) ? F[i * n + k] : G[i * g + k - n];
            for (int j = 0; (k < n) && (j < k); j++) {
                sum = sum + F[i * n + j] * ud[UD_AT(j, k)];
            }
            W[i][k] = ROM_SELECT(weight[k] > ROM_NUM(0.0), sum, zero);
            variance = variance + weight[k] * W[i][k] * W[i][k];
        }
        ROM_FOR
        for (int k = 0; k < n + g; k++) { /* not a number, too: the comparison fails */
            W[i][k] = ROM_SELECT(variance < UD_MOST, W[i][k], zero);
        }
        lost[i] = ROM_SELECT(variance < UD_MOST, zero, ROM_EACH(UD_MOST));
    }
    for (int j = n - 1; j >= 0; j--) {
        real_t d = lost[j];
        ROM_FOR
        for (int k = 0; k < n + g; k++) {
            v[k] = weight[k] * W[j][k];
            d = d + v[k] * W[j][k];
        }
        ud[UD_AT(j, j)] = d;
        for (int i = 0; i < j; i++) {
            real_t u = zero;
            ROM_FOR
            for (int k = 0; k < n + g; k++) {
                u = u + W[i][k] * v[k];
            }
            u = u / UD_OVER(d);
            u = ROM_SELECT(UD_INSIDE(u), u, zero); /* then the variance stays with i */
            ud[UD_AT(i, j)] = u;
            ROM_FOR
            for (int k = 0; k < n + g; k++) {
                W[i][k] = W[i][k] - u * W[j][k];
            }
        }
    }
}

/* f = U' row; D f goes to Df if it is wanted. Returns row' P row. */
ROM_INLINE real_t UD_(seen)(int n, const real_t *ud, const real_t *row, real_t start, real_t *f, real_t *Df)
{
    real_t sum = start;
    for (int j = 0; j < n; j++) {
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
ROM_INLINE real_t UD_(measure)(int n, real_t *ud, const real_t *row, real_t variance, real_t weight, real_t *gain)
{
    const real_t zero = ROM_EACH(ROM_NUM(0.0));
    real_t f[UD_ROOM], before = variance / UD_OVER(weight);
    const real_t S = UD_(seen)(n, ud, row, before, f, gain);
    const rom_test_t taken = ROM_BOTH(ROM_BOTH(weight > ROM_NUM(0.0), variance >= ROM_NUM(0.0)),
                                      ROM_BOTH(S > ROM_NUM(0.0), S < UD_MOST * UD_MOST));
    for (int j = 0; j < n; j++) {
        const real_t after = before + gain[j] * f[j], d = ud[UD_AT(j, j)], pull = f[j] / UD_OVER(before);
        ud[UD_AT(j, j)] = ROM_SELECT(ROM_BOTH(taken, after > ROM_NUM(0.0)), d * (before / UD_OVER(after)), d);
        for (int i = 0; i < j; i++) {
            const real_t old = ud[UD_AT(i, j)], u = old - pull * gain[i];
            gain[i] = gain[i] + gain[j] * old;
            ud[UD_AT(i, j)] = ROM_SELECT(ROM_BOTH(taken, UD_INSIDE(u)), u, old);
        }
        before = after;
    }
    ROM_FOR
    for (int i = 0; i < n; i++) {
        gain[i] = ROM_SELECT(taken, gain[i] / UD_OVER(S), zero);
    }
    return ROM_SELECT(taken, S, zero);
}

/* P <- P + weight a a', weight > 0 (else nothing): e_k makes state k that much less sure. */
ROM_INLINE void UD_(inflate)(int n, real_t *ud, const real_t *vector, real_t weight)
{
    real_t a[UD_ROOM], c = ROM_SELECT(weight > ROM_NUM(0.0), weight, ROM_EACH(ROM_NUM(0.0)));
    ROM_FOR
    for (int i = 0; i < n; i++) {
        a[i] = vector[i];
    }
    for (int j = n - 1; j >= 0; j--) {
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
ROM_INLINE real_t UD_(variance)(int n, const real_t *ud, int state)
{
    real_t sum = ud[UD_AT(state, state)];
    for (int j = state + 1; j < n; j++) {
        sum = sum + ud[UD_AT(j, j)] * ud[UD_AT(state, j)] * ud[UD_AT(state, j)];
    }
    return sum;
}

/* Variance of row' x. */
ROM_INLINE real_t UD_(spread)(int n, const real_t *ud, const real_t *row)
{
    real_t f[UD_ROOM], Df[UD_ROOM];
    return UD_(seen)(n, ud, row, ROM_EACH(ROM_NUM(0.0)), f, Df);
}

/* x <- x + dx, and what rounding took away is carried to the next one: x - carry is the sum (Kahan 1965). */
ROM_INLINE void UD_(add)(int n, real_t *x, real_t *carry, const real_t *dx)
{
    ROM_FOR
    for (int i = 0; i < n; i++) {
        const real_t add = dx[i] - carry[i], sum = x[i] + add;
        carry[i] = (sum - x[i]) - add;
        x[i] = sum;
    }
}

#undef UD_AT
#undef UD_OVER
#undef UD_INSIDE
#undef UD_MOST
