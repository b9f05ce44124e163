# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled observer: a state of its own, stepped by the C kernel for one cell or for many."""

from math import isfinite

from libc.math cimport NAN
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef extern from "kernels.h":
    ctypedef struct observer_f64_t:
        const observer_f64_t *fixed
        const observer_f64_t *shared
        int model, input, output, lanes, sensors_at, table_last_at
        int (*state)(const double *) noexcept nogil
        void (*run)(const double *, double *, const double *, const double *, double *, double *,
                    int, long, long) noexcept nogil
    ctypedef struct observer_f32_t:
        const observer_f32_t *fixed
        const observer_f32_t *shared
        int model, input, output, lanes, sensors_at, table_last_at
        int (*state)(const float *) noexcept nogil
        void (*run)(const float *, float *, const float *, const float *, float *, float *,
                    int, long, long) noexcept nogil
    const observer_f64_t *observer_f64(int n, int w) nogil
    const observer_f32_t *observer_f32(int n, int w) nogil
    const observer_f64_t *observer_avx2_f64(int n, int w) nogil
    const observer_f32_t *observer_avx2_f32(int n, int w) nogil
    const observer_f64_t *observer_avx512_f64(int n, int w) nogil
    const observer_f32_t *observer_avx512_f32(int n, int w) nogil
    const observer_f64_t *joint_f64(int n, int w) nogil
    const observer_f32_t *joint_f32(int n, int w) nogil

MAX_STATES = 8
MAX_WALLS = 3
MAX_SENSORS = 8
TABLE_LAST = 64

ctypedef fused real:
    double
    float


cdef const observer_f64_t *widest_f64(int n, int w, long cells) noexcept:
    cdef const observer_f64_t *kernel = NULL
    if cells > 4:
        kernel = observer_avx512_f64(n, w)
    if kernel == NULL and cells > 1:
        kernel = observer_avx2_f64(n, w)
    return kernel if kernel != NULL else observer_f64(n, w)


cdef const observer_f32_t *widest_f32(int n, int w, long cells) noexcept:
    cdef const observer_f32_t *kernel = NULL
    if cells > 8:
        kernel = observer_avx512_f32(n, w)
    if kernel == NULL and cells > 1:
        kernel = observer_avx2_f32(n, w)
    return kernel if kernel != NULL else observer_f32(n, w)


def lanes(str kind):
    """How many cells this processor observes side by side, in double (``d``) or single (``f``) precision."""
    return widest_f32(4, 1, 1 << 16).lanes if kind == "f" else widest_f64(4, 1, 1 << 16).lanes


cdef class Kernel:
    """Observers of one model in the arithmetic of the target, each with a state of its own.

    Parameters
    ----------
    model
        The model as a row of numbers in the order of ``model_t`` (see
        `bmsthermal.packing.pack`), float64 or float32: that is the precision
        of the kernel.
    states, walls, sensors
        Sizes.
    cells
        How many cells are observed side by side.
    joint
        Whether the model is a ``joint_t`` (see `bmsthermal.joint.pack_joint`), which says what is estimated beside
        the temperatures.
    gains
        ``own``, from each cell's covariance; ``shared``, from that of the first cell, which stands for all; ``fixed``:
        the model is a ``fixed_t`` (see `bmsthermal.fixed`) and the covariance stays what it is.
    """

    cdef const observer_f64_t *wide
    cdef const observer_f32_t *narrow
    cdef void *model
    cdef void *state_
    cdef double u64[16]
    cdef float u32[16]
    cdef double z64[8]
    cdef float z32[8]
    cdef readonly int states, walls, sensors, state_size, input_size, output_size, lanes
    cdef readonly long cells
    cdef readonly bint single

    def __cinit__(self, model, int states, int walls, int sensors, long cells=1, bint joint=False, str gains="own"):
        cdef const double[::1] model64
        cdef const float[::1] model32
        cdef int size, sensors_at, table_last_at
        self.single = memoryview(model).format == "f"
        if not (1 <= states <= MAX_STATES and 1 <= walls <= MAX_WALLS and 1 <= sensors <= MAX_SENSORS):
            raise ValueError(
                f"the kernel is built for up to {MAX_STATES} states, {MAX_WALLS} walls and {MAX_SENSORS} sensors, "
                f"got {states}, {walls} and {sensors}"
            )
        if gains not in ("own", "fixed", "shared") or (joint and gains != "own"):
            raise ValueError(f"gains must be own, fixed or shared, and own with what is beside, got {gains!r}")
        if cells < 1:
            raise ValueError(f"cells must be at least 1, got {cells}")
        self.states, self.walls, self.sensors, self.cells = states, walls, sensors, cells
        cdef long abreast = cells if gains == "own" else 1
        if self.single:
            self.narrow = joint_f32(states, walls) if joint else widest_f32(states, walls, abreast)
            if gains != "own":
                self.narrow = self.narrow.fixed if gains == "fixed" else self.narrow.shared
            size, self.lanes = self.narrow.model, self.narrow.lanes
            self.input_size, self.output_size = self.narrow.input, self.narrow.output
            sensors_at, table_last_at = self.narrow.sensors_at, self.narrow.table_last_at
        else:
            self.wide = joint_f64(states, walls) if joint else widest_f64(states, walls, abreast)
            if gains != "own":
                self.wide = self.wide.fixed if gains == "fixed" else self.wide.shared
            size, self.lanes = self.wide.model, self.wide.lanes
            self.input_size, self.output_size = self.wide.input, self.wide.output
            sensors_at, table_last_at = self.wide.sensors_at, self.wide.table_last_at
        if len(model) != size:
            raise ValueError(f"the model row has {len(model)} numbers, expected {size}")
        if not all(map(isfinite, model)) or model[sensors_at] != sensors or model[table_last_at] != TABLE_LAST:
            raise ValueError(
                f"the model row is for {model[sensors_at]} sensors and tables up to {model[table_last_at]}, expected "
                f"{sensors} and {TABLE_LAST}, and finite numbers"
            )
        cdef size_t width = 4 if self.single else 8
        cdef size_t blocks = (cells + self.lanes - 1) // self.lanes
        if joint:  # what is beside bounds loops, too
            beside = [float(number) for number in model[:4]]
            if beside[0] not in (0, 1, walls) or not set(beside[1:]) <= {0, 1}:
                raise ValueError(f"the model row has {beside} states beside: expected 0, 1 or a coefficient of each "
                                 "wall, and 0 or 1 for heat, lags and biases")
        self.model = calloc(size, width)
        if self.model == NULL:
            raise MemoryError("no memory for the observer's model")
        if self.single:
            model32 = model
            memcpy(self.model, &model32[0], size * width)
            self.state_size = self.narrow.state(<float *>self.model)
        else:
            model64 = model
            memcpy(self.model, &model64[0], size * width)
            self.state_size = self.wide.state(<double *>self.model)
        self.state_ = calloc(blocks * self.lanes * self.state_size, width)
        if self.state_ == NULL:
            raise MemoryError("no memory for the observer's state")
        for i in range(16):
            self.u64[i] = NAN
            self.u32[i] = NAN

    def __dealloc__(self):
        free(self.model)
        free(self.state_)

    def step(self, tuple u, tuple z):
        """Step one cell: `u` is current_A, voltage_V, heat_W, then coolants and conductances; `z` the sensors.

        What is left out of the end of `u`, and what is NaN, is absent.
        """
        cdef Py_ssize_t i, nu = len(u), nz = len(z)
        if nu > self.input_size or nz != self.sensors or self.cells != 1:
            raise ValueError(
                f"step takes one cell, up to {self.input_size} inputs and {self.sensors} measurements, "
                f"got {self.cells} cells, {nu} inputs and {nz} measurements"
            )
        if self.single:
            for i in range(nu):
                self.u32[i] = <float><double>u[i]
            for i in range(nu, self.input_size):
                self.u32[i] = NAN
            for i in range(nz):
                self.z32[i] = <float><double>z[i]
            self.narrow.run(<float *>self.model, <float *>self.state_, self.u32, self.z32, NULL, NULL,
                            self.sensors, 1, 1)
        else:
            for i in range(nu):
                self.u64[i] = u[i]
            for i in range(nu, self.input_size):
                self.u64[i] = NAN
            for i in range(nz):
                self.z64[i] = z[i]
            self.wide.run(<double *>self.model, <double *>self.state_, self.u64, self.z64, NULL, NULL,
                          self.sensors, 1, 1)

    def run(self, u, z, out=None, past=None):
        """Step every cell through arrays, without the interpreter's lock.

        Parameters
        ----------
        u, z
            Inputs ``(steps, cells, input_size)`` and measurements
            ``(steps, cells, sensors)``, C-contiguous, in the kernel's precision.
        out, past
            Filled if given: outputs ``(steps, cells, output_size)`` and
            states after each step ``(steps, cells, state_size)``.
        """
        if self.single:
            self._run[float](u, z, out, past)
        else:
            self._run[double](u, z, out, past)

    cdef int _run(self, const real[:, :, ::1] u, const real[:, :, ::1] z,
                  real[:, :, ::1] out, real[:, :, ::1] past) except -1:
        cdef long steps = u.shape[0]
        cdef real *out_ = NULL
        cdef real *past_ = NULL
        self._fits("u", u.shape, steps, self.input_size)
        self._fits("z", z.shape, steps, self.sensors)
        if out is not None:
            self._fits("out", out.shape, steps, self.output_size)
        if past is not None:
            self._fits("past", past.shape, steps, self.state_size)
        if steps == 0:
            return 0
        if out is not None:
            out_ = &out[0, 0, 0]
        if past is not None:
            past_ = &past[0, 0, 0]
        with nogil:
            if real is float:
                self.narrow.run(<float *>self.model, <float *>self.state_, &u[0, 0, 0], &z[0, 0, 0], out_, past_,
                                self.sensors, steps, self.cells)
            else:
                self.wide.run(<double *>self.model, <double *>self.state_, &u[0, 0, 0], &z[0, 0, 0], out_, past_,
                              self.sensors, steps, self.cells)
        return 0

    cdef int _fits(self, str name, const Py_ssize_t *shape, long steps, int size) except -1:
        if shape[0] != steps or shape[1] != self.cells or shape[2] != size:
            raise ValueError(
                f"{name} has shape {(shape[0], shape[1], shape[2])}, expected {(steps, self.cells, size)}: "
                "steps, cells and numbers of each"
            )
        return 0

    def read(self, rows):
        """Copy the state of every cell into `rows` ``(cells, state_size)``: x, packed P, SOC."""
        if self.single:
            self._move[float](rows, False)
        else:
            self._move[double](rows, False)

    def write(self, rows):
        """Set the state of every cell from `rows` ``(cells, state_size)``."""
        if self.single:
            self._move[float](rows, True)
        else:
            self._move[double](rows, True)

    cdef _move(self, real[:, ::1] rows, bint inwards):
        cdef long cell, lane, i, size = self.state_size, lanes = self.lanes
        cdef long total = (self.cells + lanes - 1) // lanes * lanes
        cdef real *state = <real *>self.state_
        if rows.shape[0] != self.cells or rows.shape[1] != size:
            raise ValueError(f"rows have shape {(rows.shape[0], rows.shape[1])}, expected {(self.cells, size)}")
        for cell in range(total if inwards else self.cells):
            for i in range(size):
                if inwards:  # spare lanes of the last block mirror its first cell
                    lane = cell if cell < self.cells else cell // lanes * lanes
                    state[(cell // lanes * size + i) * lanes + cell % lanes] = rows[lane, i]
                else:
                    rows[cell, i] = state[(cell // lanes * size + i) * lanes + cell % lanes]
