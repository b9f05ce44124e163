# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled reduced cell: a state of its own, stepped by the C kernel."""

from math import isfinite

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

#: What no current in A and no coolant in K reaches (the kernel's ROM_HUGE), and no state.
cdef double HUGE = 1e6, RUNAWAY = 1e30

cdef extern from "cells.h":
    ctypedef struct cell_kernel_t:
        int model, state, use, input, out
        void (*rest)(const void *, void *, double, double) noexcept nogil
        void (*run)(const void *, const void *, void *, const void *, void *, void *, long) noexcept nogil
    const cell_kernel_t *cell_f64(int negative, int positive, int modes) nogil
    const cell_kernel_t *cell_f32(int negative, int positive, int modes) nogil
    ctypedef void (*cell_slopes_t)(const void *, const void *, const void *, const void *, const int *, int,
                                   void *) noexcept nogil
    cell_slopes_t cell_slopes(int negative, int positive, int modes) nogil

#: Classes of sizes: modes of each electrode, thermal modes, salt shapes, nodes along a radius.
CLASSES = ((4, 3, 2, 4), (6, 4, 3, 4), (8, 6, 4, 4))
#: Points of the electrodes that the kernel is built for.
POINTS = ((1, 1), (2, 2), (3, 2), (4, 3))


cdef long _first_absurd(const void *row, long count, bint single, double huge) noexcept nogil:
    """Place of the first number that is not finite or reaches `huge`; `count` if there is none."""
    cdef long i
    cdef double x
    for i in range(count):
        x = (<const float *> row)[i] if single else (<const double *> row)[i]
        if not -huge < x < huge:  # NaN is not
            return i
    return count


cdef class Kernel:
    """One reduced cell in the arithmetic of the target.

    Parameters
    ----------
    model, use
        Rows of numbers in the order of ``cell_t`` and ``cell_use_t`` (see
        `bmsthermal.reduced.packing`), both float64 or both float32: that is
        the precision of the kernel.
    negative, positive
        Points of the electrodes, one of `POINTS`.
    modes
        Of each electrode, as one of `CLASSES` has them.

    Raises
    ------
    ValueError
        If the kernel is not built for that, or the numbers do not fit it.
    """

    cdef const cell_kernel_t *kernel
    cdef cell_slopes_t slopes_
    cdef void *model
    cdef void *use
    cdef void *state_
    cdef size_t width
    cdef readonly int state_size, input_size, out_size
    cdef readonly bint single

    def __cinit__(self, model, use, int negative, int positive, int modes):
        cdef const unsigned char[::1] raw
        if memoryview(model).format not in ("f", "d") or memoryview(use).format != memoryview(model).format:
            raise ValueError("model and use must be rows of one precision, float64 or float32")
        if memoryview(model).ndim != 1 or memoryview(use).ndim != 1:
            raise ValueError("model and use must have one dimension")
        self.single = memoryview(model).format == "f"
        self.slopes_ = cell_slopes(negative, positive, modes)
        self.kernel = cell_f32(negative, positive, modes) if self.single else cell_f64(negative, positive, modes)
        if self.kernel == NULL:
            raise ValueError(f"the kernel is built for points {POINTS} and modes {[c[0] for c in CLASSES]}, "
                             f"got {(negative, positive)} and {modes}")
        if len(model) != self.kernel.model or len(use) != self.kernel.use:
            raise ValueError(
                f"model and use have {len(model)} and {len(use)} numbers, "
                f"expected {self.kernel.model} and {self.kernel.use}"
            )
        # a sum is finite only if every number is
        if not isfinite(float(model.sum()) + float(use.sum())):
            raise ValueError("model and use must be finite numbers")
        if not (use[2] > 0 and min(use[3:]) >= 0):
            raise ValueError(f"the area must be positive and no conductance negative, got {tuple(map(float, use[2:]))}")
        self.width = 4 if self.single else 8
        self.state_size, self.input_size, self.out_size = self.kernel.state, self.kernel.input, self.kernel.out
        self.model = calloc(self.kernel.model, self.width)
        self.use = calloc(self.kernel.use, self.width)
        self.state_ = calloc(self.kernel.state, self.width)
        if self.model == NULL or self.use == NULL or self.state_ == NULL:
            raise MemoryError()
        raw = memoryview(model).cast("B")
        memcpy(self.model, &raw[0], self.kernel.model * self.width)
        raw = memoryview(use).cast("B")
        memcpy(self.use, &raw[0], self.kernel.use * self.width)

    def __dealloc__(self):
        free(self.model)
        free(self.use)
        free(self.state_)

    def rest(self, double filling, double temperature_K):
        """Put the cell at rest: the negative particles filled that far, one temperature everywhere."""
        if not (isfinite(filling) and isfinite(temperature_K)):
            raise ValueError(f"filling and temperature must be finite, got {filling} and {temperature_K}")
        self.kernel.rest(self.model, self.state_, filling, temperature_K)

    @property
    def state(self):
        """The state's bytes, as ``cell_state_t`` holds them; may be set."""
        return (<unsigned char *> self.state_)[:self.state_size * self.width]

    @state.setter
    def state(self, bytes value):
        cdef const unsigned char[::1] raw = value
        if len(value) != self.state_size * self.width:
            raise ValueError(f"the state has {self.state_size * self.width} bytes, got {len(value)}")
        if self._runaway(&raw[0]):
            raise ValueError("the state must be finite numbers")
        memcpy(self.state_, &raw[0], self.state_size * self.width)

    cdef bint _runaway(self, const void *state) noexcept:
        return _first_absurd(state, self.state_size, self.single, RUNAWAY) < self.state_size

    def run(self, u, out, past=None):
        """Step along rows of current and coolants `u` ``(k, 1 + walls)``; fills `out` ``(k, o)`` and states before
        each step.

        All arrays are contiguous and of the kernel's precision. Row ``i`` of
        `out` has the voltage at the begin of the step, the heat over it.

        Returns
        -------
        bool
            Whether the state stayed finite. Currents far beyond what a cell bears may drive it away: it is then
            as it was before the first row.

        Raises
        ------
        ValueError
            If a shape or precision is another, or a number of `u` is not finite or absurd: before any step.
        """
        cdef const unsigned char[::1] given
        cdef unsigned char[::1] found, states
        cdef long k = len(u), width = self.input_size
        cdef long bad
        cdef void *kept = NULL
        wanted = "f" if self.single else "d"
        for name, array in (("u", u), ("out", out), ("past", past)):
            if array is not None and memoryview(array).format != wanted:
                raise ValueError(f"{name} must be of the kernel's precision, {self.width} bytes a number")
        if k == 0:  # nothing has no bytes to look at
            return True
        given, found = memoryview(u).cast("B"), memoryview(out).cast("B")
        if given.shape[0] != k * width * self.width or found.shape[0] != k * self.out_size * self.width:
            raise ValueError(f"u must be ({k}, {width}) and out ({k}, {self.out_size}) of {self.width} bytes each")
        if past is not None:
            states = memoryview(past).cast("B")
            if states.shape[0] != k * self.state_size * self.width:
                raise ValueError(f"past must be ({k}, {self.state_size}) of {self.width} bytes each")
            kept = &states[0]
        bad = _first_absurd(&given[0], width * k, self.single, HUGE)
        if bad < width * k:
            what = "current" if bad % width == 0 else "coolant"
            raise ValueError(f"row {bad // width}: the {what} must be a number below {HUGE:g} A or K either way")
        before = self.state
        with nogil:
            self.kernel.run(self.model, self.use, self.state_, &given[0], &found[0], kept, k)
        if self._runaway(self.state_):
            self.state = before
            return False
        return True

    def slopes(self, u, int[::1] places, double[:, ::1] rows):
        """Linearise the step that would come next, exactly; the state stays.

        Parameters
        ----------
        u
            Current and coolants of the step ``(1 + walls,)``.
        places
            Which states count, ``(n,)``, as places in the state (see `bmsthermal.reduced.twin.places`).
        rows
            Filled, ``(2 + n, s + o)``: state after the step, then what it finds, as one row; below it their slopes
            with each state, and last with the current.

        Raises
        ------
        ValueError
            If the kernel is of single precision or built without slopes, or shapes or numbers do not fit.
        """
        cdef const double[::1] given = u
        cdef int count = len(places), size = self.state_size + self.out_size, place
        if self.single or self.slopes_ == NULL:
            raise ValueError("slopes need a kernel of double precision, built by gcc or clang")
        if len(given) != self.input_size or rows.shape[0] != 2 + count or rows.shape[1] != size or count == 0:
            raise ValueError(f"u must be ({self.input_size},) and rows ({2 + count}, {size}), for at least one place")
        for place in places:
            if not 0 <= place < self.state_size:
                raise ValueError(f"a state has {self.state_size} places, got {place}")
        if _first_absurd(&given[0], self.input_size, False, HUGE) < self.input_size:
            raise ValueError(f"current and coolants must be numbers below {HUGE:g} A or K either way")
        with nogil:
            self.slopes_(self.model, self.use, self.state_, &given[0], &places[0], count, &rows[0, 0])
