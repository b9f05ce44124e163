# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled filter on the reduced cell: a state of its own, stepped by the C kernel."""

from math import isfinite

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef extern from "cells.h":
    ctypedef struct cell_filter_t:
        int model, input, output, walls
        int (*state)(const void *) noexcept nogil
        void (*run)(const void *, void *, const void *, const void *, void *, void *, long) noexcept nogil
        void (*slopes)(const void *, const void *, double, const void *, void *) noexcept nogil
    const cell_filter_t *cell_filter_f64(int negative, int positive, int modes) nogil
    const cell_filter_t *cell_filter_f32(int negative, int positive, int modes) nogil

#: Sensors that there is room for.
MAX_SENSORS = 8
#: Salt shapes and thermal modes of the classes of sizes, by the modes of each electrode.
_ROOM = {4: (2, 3), 6: (3, 4), 8: (4, 6)}


cdef class Kernel:
    """One filter in the arithmetic of the target.

    Parameters
    ----------
    model
        Row of numbers in the order of ``filter_t`` (see `bmsthermal.reduced.filter_packing`), float64 or float32:
        that is the precision of the kernel.
    negative, positive
        Points of the electrodes.
    modes
        Of each electrode, as the class of sizes has them.

    Raises
    ------
    ValueError
        If the kernel is not built for that, or the numbers do not fit it.
    """

    cdef const cell_filter_t *kernel
    cdef void *model
    cdef void *state_
    cdef size_t width
    cdef readonly int states, state_size, input_size, output_size, sensors
    cdef readonly bint single

    def __cinit__(self, model, int negative, int positive, int modes):
        cdef const unsigned char[::1] raw
        if memoryview(model).format not in ("f", "d") or memoryview(model).ndim != 1:
            raise ValueError("the model must be one row of float64 or float32")
        self.single = memoryview(model).format == "f"
        self.kernel = cell_filter_f32(negative, positive, modes) if self.single else cell_filter_f64(
            negative, positive, modes)
        if self.kernel == NULL:
            raise ValueError(f"the kernel is not built for points {(negative, positive)} and {modes} modes")
        if len(model) != self.kernel.model:
            raise ValueError(f"the model has {len(model)} numbers, expected {self.kernel.model}")
        if not isfinite(float(model.sum())):  # a sum is finite only if every number is
            raise ValueError("the model must be finite numbers")
        used, room = [float(number) for number in model[:5]], (*_ROOM[modes], MAX_SENSORS)
        most = (room[0], modes, modes, room[1], room[2])
        if not all(number in range(top + 1) for number, top in zip(used, most)) or used[3] < 1 or used[4] < 1:
            raise ValueError(f"the model says {used} states and sensors, expected at most {most}")
        self.width = 4 if self.single else 8
        self.sensors, self.states = int(used[4]), 3 + int(sum(used[:4]))
        self.input_size, self.output_size = self.kernel.input, self.kernel.output
        self.model = calloc(self.kernel.model, self.width)
        if self.model == NULL:
            raise MemoryError()
        raw = memoryview(model).cast("B")
        memcpy(self.model, &raw[0], self.kernel.model * self.width)
        self.state_size = self.kernel.state(self.model)
        self.state_ = calloc(self.state_size, self.width)
        if self.state_ == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.model)
        free(self.state_)

    def _bytes(self, str name, array, *shape):
        """Look at an array as bytes, if it is what is wanted."""
        view = memoryview(array)
        if view.format != ("f" if self.single else "d") or view.shape != shape or not view.c_contiguous:
            raise ValueError(f"{name} has shape {view.shape} of {view.format!r}, expected {shape}, contiguous and of "
                             f"the kernel's precision, {self.width} bytes a number")
        return view.cast("B")

    def write(self, row):
        """Set the state: mean ``(n,)``, carries ``(2,)`` and packed factors ``(n (n + 1) / 2,)`` in one row."""
        cdef const unsigned char[::1] raw = self._bytes("the state", row, self.state_size)
        memcpy(self.state_, &raw[0], self.state_size * self.width)

    def read(self, row):
        """Copy the state into a row."""
        cdef unsigned char[::1] raw = self._bytes("the state", row, self.state_size)
        memcpy(&raw[0], self.state_, self.state_size * self.width)

    def run(self, u, z, out, past=None):
        """Step along rows, without the interpreter's lock.

        Parameters
        ----------
        u, z
            Current, voltage and coolants ``(k, input_size)``, and surfaces ``(k, sensors)``; NaN where absent.
        out, past
            Filled: outputs ``(k, output_size)`` and, if given, states after each step ``(k, state_size)``.
        """
        cdef const unsigned char[::1] inputs, readings
        cdef unsigned char[::1] found, states
        cdef long k = len(u)
        cdef void *kept = NULL
        if k == 0:  # nothing has no bytes to look at
            return
        inputs, readings = self._bytes("u", u, k, self.input_size), self._bytes("z", z, k, self.sensors)
        found = self._bytes("out", out, k, self.output_size)
        if past is not None:
            states = self._bytes("past", past, k, self.state_size)
            kept = &states[0]
        with nogil:
            self.kernel.run(self.model, self.state_, &inputs[0], &readings[0], &found[0], kept, k)

    def slopes(self, row, double current_A, coolant, rows):
        """Slopes at a state that the filter's step takes, into one row of ``n (n + 3) + 1`` numbers.

        Of the states after the step with each state ``(n, n)``, of voltage and heat with each ``(n,)``, of the states
        with the current ``(n,)``, of the voltage with it. Coolants ``(walls,)`` are K above the reference.
        """
        cdef const unsigned char[::1] raw = self._bytes("the state", row, self.state_size)
        cdef const unsigned char[::1] around = self._bytes("coolant", coolant, self.kernel.walls)
        cdef unsigned char[::1] found = self._bytes("rows", rows, self.states * (self.states + 3) + 1)
        if not abs(current_A) < 1e6:
            raise ValueError(f"the current must be a number below 1e6 A, got {current_A}")
        with nogil:
            self.kernel.slopes(self.model, &raw[0], current_A, &around[0], &found[0])
