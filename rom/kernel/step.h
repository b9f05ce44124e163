/* step.h - one step of a modal system with walls (rom.step.ModalStep is its readable twin).
 *
 *   x* = decay x + drive u                  insulated modes, exact hold
 *   q  = g (wall' x+ - c),  x+ = x* - sink q    wall flow, solved at the end of the step
 *
 * Text: include it once per size, with ROM_N modes, ROM_U sources, ROM_W walls
 * (ROM_W_MAX of them reserved) and ROM_(name) giving each size its own names. ROM_LEVEL 1 says that every mode is
 * scaled to be 1 at the first wall: its value is then a sum.
 */
#if !defined(ROM_LEVEL)
#define ROM_LEVEL 0
#endif

typedef struct {
    num_t decay[ROM_N];           /* exp(-rate step) */
    num_t drive[ROM_U][ROM_N];    /* change per unit of source held for a step */
    num_t wall[ROM_W_MAX][ROM_N]; /* value of the modes at the wall */
    num_t sink[ROM_W_MAX][ROM_N]; /* change per unit of flow out for a step */
} ROM_(modal_t);

/* How the modes answer once walls are open: x+ = x* - answer[w] gain[w] (wall[w]' x - c[w]), wall after wall. */
typedef struct {
    real_t answer[ROM_W_MAX][ROM_N];
    real_t gain[ROM_W_MAX];
} ROM_(walls_t);

/* Inner product, summed from the first. */
ROM_INLINE real_t ROM_(dot)(const num_t a[ROM_N], const real_t b[ROM_N])
{
    real_t sum = a[0] * b[0];
    ROM_FOR
    for (int i = 1; i < ROM_N; i++) {
        sum = sum + a[i] * b[i];
    }
    return sum;
}

/* Sum, from the first. */
ROM_INLINE real_t ROM_(sum)(const real_t x[ROM_N])
{
    real_t sum = x[0];
    ROM_FOR
    for (int i = 1; i < ROM_N; i++) {
        sum = sum + x[i];
    }
    return sum;
}

/* Value at a wall. */
ROM_INLINE real_t ROM_(at)(const ROM_(modal_t) *m, int w, const real_t x[ROM_N])
{
    return (ROM_LEVEL && (w == 0)) ? ROM_(sum)(x) : ROM_(dot)(m->wall[w], x);
}

/* Open the walls to conductances g >= 0. Each one answers through those before it (Sherman-Morrison). */
ROM_INLINE void ROM_(open)(const ROM_(modal_t) *m, const real_t g[ROM_W_MAX], ROM_(walls_t) *walls)
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        real_t *v = walls->answer[w];
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            v[i] = ROM_EACH(m->sink[w][i]);
        }
        ROM_FOR
        for (int p = 0; p < w; p++) {
            const real_t through = walls->gain[p] * ROM_(at)(m, p, v);
            ROM_FOR
            for (int i = 0; i < ROM_N; i++) {
                v[i] = v[i] - walls->answer[p][i] * through;
            }
        }
        walls->gain[w] = ROM_OVER(g[w], ROM_NUM(1.0) + g[w] * ROM_(at)(m, w, v));
    }
}

/* Sources for a step, walls insulated. */
ROM_INLINE void ROM_(drive)(const ROM_(modal_t) *m, real_t x[ROM_N], const real_t u[ROM_U])
{
    ROM_FOR
    for (int i = 0; i < ROM_N; i++) {
        x[i] = m->decay[i] * x[i];
        for (int j = 0; j < ROM_U; j++) {
            x[i] = x[i] + m->drive[j][i] * u[j];
        }
    }
}

/* The walls' share of the step, towards surroundings c. */
ROM_INLINE void ROM_(exchange)(const ROM_(modal_t) *m, const ROM_(walls_t) *walls, real_t x[ROM_N],
                                  const real_t c[ROM_W_MAX])
{
    ROM_FOR
    for (int w = 0; w < ROM_W; w++) {
        const real_t flow = walls->gain[w] * (ROM_(at)(m, w, x) - c[w]);
        ROM_FOR
        for (int i = 0; i < ROM_N; i++) {
            x[i] = x[i] - walls->answer[w][i] * flow;
        }
    }
}
