/* uds.h - what the builds of ud_host.h offer: numbers are double in one of them and float in the other. */
#ifndef ROM_UDS_H
#define ROM_UDS_H

/* The largest size that is built, as many columns of noise, and the numbers of its factors. */
enum { UDS_N = 24, UDS_P = UDS_N * (UDS_N + 1) / 2 };

typedef struct {
    void (*predict)(void *ud, const void *F, const void *G, const void *q);
    double (*measure)(void *ud, const void *row, double variance, double weight, void *gain);
    void (*inflate)(void *ud, const void *vector, double weight);
    double (*variance)(const void *ud, int state);
    double (*spread)(const void *ud, const void *row);
    void (*add)(void *x, void *carry, const void *dx, long steps); /* dx[steps][states] */
} ud_kernel_t;

/* The kernel for n states, or NULL where none was built. */
const ud_kernel_t *ud_f64(int n);
const ud_kernel_t *ud_f32(int n);

#endif
