# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The step of kernel/step.h, in double or single precision."""

from libc.math cimport isfinite
from libc.string cimport memcpy

import numpy as np

cdef extern from "steps.h":
    enum:
        STEP_N
        STEP_U
        STEP_W
        STEP_MODEL
        STEP_WALLS

    ctypedef struct step_kernel_t:
        void (*open)(const void *model, const void *g, void *walls) noexcept nogil
        void (*run)(const void *model, const void *walls, void *x, const void *u, void *past,
                    long steps, long cells) noexcept nogil

    const step_kernel_t *step_f64(int n, int u, int w) noexcept nogil
    const step_kernel_t *step_f32(int n, int u, int w) noexcept nogil


cdef class Stepper:
    """A `rom.step.ModalStep` as a target runs it: C, one state, fixed wall conductances.

    Parameters
    ----------
    step : ModalStep
        What to step: 1 to 8 modes, 1 or 2 sources, 1 or 2 walls.
    g : array_like
        Wall conductances ``(w,)``; insulated by default.
    dtype : dtype
        ``float64``, or ``float32`` as on most targets.

    Raises
    ------
    ValueError
        If the size was not built, the dtype is neither of the two, or the
        numbers of `step` do not fit each other or are not finite.
    """

    # Rows are wide enough for double and hold float where `single`.
    cdef const step_kernel_t *kernel
    cdef double model[STEP_MODEL]
    cdef double walls[STEP_WALLS]
    cdef double state[STEP_N]
    cdef double given[STEP_U + STEP_W]
    cdef bint single
    cdef int modes, inputs, faces
    cdef object dtype

    def __cinit__(self, step, g=0.0, dtype=np.float64):  # once for ever: no state without its kernel
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float64, np.float32):
            raise ValueError(f"dtype must be float64 or float32, got {self.dtype}")
        self.single = self.dtype == np.float32
        self.modes, self.faces = step.wall.shape
        self.inputs = step.drive.shape[1] + self.faces
        sources = self.inputs - self.faces
        self.kernel = (step_f32 if self.single else step_f64)(self.modes, sources, self.faces)
        if self.kernel == NULL:
            raise ValueError(
                f"no compiled step for {self.modes} modes, {sources} sources and {self.faces} walls: "
                f"at most {STEP_N}, {STEP_U} and {STEP_W}; take rom.step.PlainStepper"
            )
        rows = np.vstack([step.decay, step.drive.T, step.wall.T, step.sink.T])
        self._fill(self.model, self._checked(rows, (1 + sources + 2 * self.faces, self.modes)))
        self._fill(self.state, np.zeros(self.modes))
        self.open(g)

    def __repr__(self):
        return f"Stepper({self.modes} modes, {self.faces} walls, {self.dtype})"

    @property
    def x(self):
        """State ``(n,)``; may be set."""
        return self._state()

    @x.setter
    def x(self, values):
        self._fill(self.state, self._checked(values, (self.modes,)))

    def open(self, g):
        """Set the wall conductances ``(w,)``; the state stays."""
        values = np.broadcast_to(np.asarray(g, self.dtype), (self.faces,))
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"wall conductances must be finite and >= 0, got {values.tolist()}")
        self._fill(self.given, values)
        self.kernel.open(<void *>self.model, <void *>self.given, <void *>self.walls)

    def step(self, u):
        """State after one step with sources and surroundings `u` ``(u + w,)``."""
        cdef int i = 0
        cdef double value
        cdef tuple now = tuple(u)  # its length is checked here and must not change below
        if len(now) != self.inputs:
            raise ValueError(f"expected {self.inputs} numbers, sources first, got {len(now)}")
        for i in range(self.inputs):
            value = now[i]
            if self.single:
                (<float *>self.given)[i] = <float>value
                value = (<float *>self.given)[i]
            else:
                self.given[i] = value
            if not isfinite(value):
                raise ValueError("every number must be finite: a NaN would stay in the state for ever")
        self.kernel.run(<void *>self.model, <void *>self.walls, <void *>self.state, <void *>self.given,
                        NULL, 1, 1)
        return self._state()

    def run(self, u):
        """States ``(k, n)`` after each step of `u` ``(k, u + w)``, from the present state on."""
        drive = self._checked(u, (len(u), self.inputs))
        states = np.empty((len(drive), self.modes), self.dtype)
        self._run(self.state, drive, states, len(drive), 1)
        return states

    def batch(self, u, x0=None):
        """States ``(k, cells, n)`` of many cells under `u` ``(k, cells, u + w)``, each from a row of `x0`.

        Without `x0` every cell starts from the present state, which stays as
        it is. Same bytes as stepping each cell by itself; without the GIL.
        """
        drive = np.asarray(u, self.dtype)
        drive = self._checked(drive, (*drive.shape[:2], self.inputs))
        steps, cells = drive.shape[:2]
        start = np.tile(self._state(), (cells, 1)) if x0 is None else x0
        start = self._checked(start, (cells, self.modes)).copy()
        states = np.empty((steps, cells, self.modes), self.dtype)
        cdef unsigned char[::1] bytes_of_start = start.reshape(-1).view(np.uint8)
        if start.size:
            self._run(&bytes_of_start[0], drive, states, steps, cells)
        return states

    cdef int _run(self, void *x, drive, states, long steps, long cells) except -1:
        cdef const unsigned char[::1] u = drive.reshape(-1).view(np.uint8)
        cdef unsigned char[::1] past = states.reshape(-1).view(np.uint8)
        if steps and cells:
            with nogil:
                self.kernel.run(<void *>self.model, <void *>self.walls, x, <void *>&u[0], <void *>&past[0],
                                steps, cells)
        return 0

    cdef int _fill(self, void *row, values) except -1:
        cdef const unsigned char[::1] numbers = np.array(values, self.dtype).reshape(-1).view(np.uint8)
        memcpy(row, &numbers[0], numbers.shape[0])
        return 0

    cdef tuple _state(self):
        if self.single:
            return tuple([(<float *>self.state)[i] for i in range(self.modes)])
        return tuple([self.state[i] for i in range(self.modes)])

    cdef object _checked(self, values, shape):
        array = np.ascontiguousarray(values, self.dtype)
        if array.shape != shape:
            raise ValueError(f"expected shape {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError("every number must be finite: a NaN would stay in the state for ever")
        return array
