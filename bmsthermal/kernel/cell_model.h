/* cell_model.h - what a reduced cell is made of, its state, what may change on line, and what a step finds.
 *
 * Text: cell.h includes it once per size.
 */

typedef struct {
    num_t low, per; /* first place, and intervals per unit */
    num_t last;     /* number of the last interval */
} ROM_(grid_t);

#define CELL_COLUMNS 6 /* value and slope times interval, of three quantities */

/* Against temperature: 1/(2 F k) and resistivity of each electrode, resistivity and diffusivity of the electrolyte. */
enum { ROM_(turn_negative), ROM_(solid_negative), ROM_(turn_positive), ROM_(solid_positive), ROM_(resist), ROM_(spread_) };
#define CELL_WARMED 6

typedef struct {
    num_t weight[CELL_Q];              /* of the points, 1 in all */
    num_t surface[CELL_Q][CELL_M];     /* modes at the surface of the particles */
    num_t inside[CELL_Q][CELL_M][CELL_R]; /* modes along their radius */
    num_t share[CELL_R];               /* of the volume */
    num_t reach[CELL_Q];               /* m2 of particles per m2 that each point stands for */
    num_t flow[CELL_Q][CELL_Q];        /* current of the electrolyte at each point per reaction at the others */
    num_t pull[CELL_Q][CELL_Q];        /* what a voltage per thickness at the others does at each point */
    num_t salt[CELL_Q][CELL_S];        /* shapes of the salt at the points */
    num_t source[CELL_S][CELL_Q];      /* salt per reaction and step */
    num_t diffusion_heat;              /* E/R, K */
    num_t fill;                        /* 3/(F c_max R) times the step */
    num_t area;                        /* surface of particles per area of electrode */
    num_t thickness;                   /* m */
    num_t pores;                       /* 1/(kappa_0 B), Ohm m over that of the table */
    num_t film;                        /* Ohm m2 */
    num_t stress;                      /* V per surface less mean */
    num_t stored;                      /* F c_max eps L per step, A/m2 */
    num_t lean;                        /* how far from the mean to the surface D is taken */
    ROM_(grid_t) pace_grid;            /* of ln D/D_ref */
    num_t pace[CELL_PACES][6][CELL_M]; /* e^-z, (1 - e^-z)/z and (1 - that)/z of each mode, each with its slope */
    ROM_(grid_t) grid;
    num_t table[CELL_TABLE][CELL_COLUMNS]; /* enthalpic potential, dU/dT, ln D/D_ref; against filling */
} ROM_(electrode_t);

typedef struct {
    num_t reference_K;      /* of the electrodes' values */
    num_t zero_K;           /* that the thermal states count from */
    num_t area_m2;          /* of the electrodes */
    num_t contact;          /* Ohm */
    num_t positive_at;      /* filling of the positive particles where the negative ones are empty */
    num_t positive_per;     /* loss of it per filling of the negative ones */
    num_t thermal_voltage;  /* 2 R/F, V/K */
    num_t separator;        /* L/(kappa_0 B), Ohm m2 over that of the table */
    num_t separator_salt[CELL_S];
    num_t spread[2 * CELL_Q + 1][CELL_S][CELL_S]; /* diffusion of the salt per step, by the point that D is taken at */
    ROM_(grid_t) warm_grid; /* of T, K */
    num_t warm[CELL_WARM][2 * CELL_WARMED]; /* what warmth multiplies, each with its slope */
    ROM_(grid_t) grid;
    num_t table[CELL_TABLE][CELL_COLUMNS]; /* kappa over its reference, D over its, junction potential over 2RT/F */
    ROM_(electrode_t) negative, positive;
    ROM_(modal_t) conduction;
    num_t read[2 + ROM_W_MAX][ROM_N]; /* core, mean and surfaces */
} ROM_(cell_t);

typedef struct {
    real_t lithium, carry;
    real_t salt[CELL_S];
    real_t negative[CELL_M], positive[CELL_M];
    real_t thermal[ROM_N];
} ROM_(cell_state_t);

/* What may change on line. */
typedef struct {
    num_t resistance;       /* Ohm in series, beside the contact */
    num_t entropic;         /* multiplies dU/dT; 1 as made */
    num_t area;             /* multiplies the electrodes' area; 1 as made */
    num_t conductance[ROM_W_MAX]; /* W/K */
} ROM_(cell_use_t);

typedef struct {
    real_t voltage, heat;
    real_t ohmic, reaction, reversible, mixing, contact;
    real_t temperature[2 + ROM_W_MAX];
} ROM_(cell_out_t);
