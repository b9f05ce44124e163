/* steps.h - what the builds of step_host.h offer: numbers are double in one of them and float in the other. */
#ifndef ROM_STEPS_H
#define ROM_STEPS_H

/* The largest size that is built, and how many numbers its structs hold. */
enum {
    STEP_N = 8,
    STEP_U = 2,
    STEP_W = 2,
    STEP_MODEL = STEP_N * (1 + STEP_U + 2 * STEP_W),
    STEP_WALLS = STEP_W * (STEP_N + 1)
};

typedef struct {
    void (*open)(const void *model, const void *g, void *walls);
    /* u[steps][cells][sources and surroundings], x[cells][modes]; past[steps][cells][modes] may be NULL */
    void (*run)(const void *model, const void *walls, void *x, const void *u, void *past, long steps, long cells);
} step_kernel_t;

/* The kernel for n modes, u sources and w walls, or NULL where none was built. */
const step_kernel_t *step_f64(int n, int u, int w);
const step_kernel_t *step_f32(int n, int u, int w);

#endif
