# cython: language_level=3
"""The factors of kernel/ud.h, in double or single precision."""

import numpy as np

cdef extern from "uds.h":
    enum:
        UDS_ROOM

    ctypedef struct ud_kernel_t:
        void (*predict)(int n, int g, void *ud, const void *F, const void *G, const void *q) noexcept nogil
        double (*measure)(int n, void *ud, const void *row, double variance, double weight, void *gain) noexcept nogil
        void (*inflate)(int n, void *ud, const void *vector, double weight) noexcept nogil
        double (*variance)(int n, const void *ud, int state) noexcept nogil
        double (*spread)(int n, const void *ud, const void *row) noexcept nogil
        void (*add)(int n, void *x, void *carry, const void *dx, long steps) noexcept nogil

    const ud_kernel_t ud_f64
    const ud_kernel_t ud_f32


cdef const ud_kernel_t *kernel_of(dtype, Py_ssize_t n) except NULL:
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {dtype}")
    if not 1 <= n <= UDS_ROOM:
        raise ValueError(f"no compiled factors for {n} states: 1 to {UDS_ROOM}; take rom.ud.PlainFactors")
    return &ud_f32 if dtype == np.float32 else &ud_f64


cdef void *at(array):
    """First number of an array, which must live on while it is used."""
    return <void *><size_t>array.ctypes.data


cdef object shaped(values, shape, dtype):
    array = np.ascontiguousarray(values, dtype)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape}, got {array.shape}")
    return array


cdef class Factors:
    """The covariance of a filter as a target keeps it; see `rom.ud.PlainFactors`, which has the same methods.

    Parameters
    ----------
    packed : array_like
        Packed factors of 1 to 48 states, such as those of `rom.ud.factored`.
    dtype : dtype
        ``float64``, or ``float32`` as on most targets.

    Raises
    ------
    ValueError
        If the size was not built, the dtype is neither of the two, or a
        number is not finite or a variance negative.
    """

    cdef const ud_kernel_t *kernel
    cdef object row, dtype
    cdef int n

    def __cinit__(self, packed, dtype=np.float64):
        self.dtype = np.dtype(dtype)
        self.row = np.array(packed, self.dtype, order="C")
        self.n = int(np.sqrt(2 * self.row.size))
        if self.row.shape != (self.n * (self.n + 1) // 2,):
            raise ValueError(f"packed factors have n (n + 1) / 2 numbers in a row, got shape {self.row.shape}")
        self.kernel = kernel_of(self.dtype, self.n)
        places = np.arange(self.n)
        variances = self.row[places * (2 * self.n + 1 - places) // 2]
        if not (np.isfinite(self.row).all() and (variances >= 0).all() and (variances <= 1e18).all()):
            raise ValueError(f"factors must be finite and variances 0 to 1e+18, got {variances.tolist()}")

    def __repr__(self):
        return f"Factors({self.n} states, {self.dtype})"

    @property
    def packed(self):
        """A copy of the factors, packed."""
        return self.row.copy()

    def predict(self, F, G=None, q=None):
        """``P <- F P F' + G diag(q) G'``; `G` ``(n, g)``, `q` ``(g,)``, at most ``n + 1`` of them."""
        F = shaped(F, (self.n, self.n), self.dtype)
        q = np.ascontiguousarray(np.zeros(0) if q is None else q, self.dtype)
        G = np.ascontiguousarray(np.zeros((self.n, q.size)) if G is None else G, self.dtype)
        if q.ndim != 1 or G.shape != (self.n, q.size) or q.size > self.n + 1:
            raise ValueError(f"expected at most {self.n + 1} columns of {self.n} numbers and a variance for each, "
                             f"got shapes {G.shape} and {q.shape}")
        self.kernel.predict(self.n, <int>q.size, at(self.row), at(F), at(G), at(q))

    def measure(self, row, double variance, double weight=1.0):
        """Take a scalar reading of ``row @ x``: gain ``(n,)`` and variance of the innovation, zeros where absent."""
        row = shaped(row, (self.n,), self.dtype)
        gain = np.empty(self.n, self.dtype)
        S = self.kernel.measure(self.n, at(self.row), at(row), variance, weight, at(gain))
        return gain, S

    def inflate(self, vector, double weight):
        """``P <- P + weight vector vector'``, `weight` positive, else nothing."""
        vector = shaped(vector, (self.n,), self.dtype)
        self.kernel.inflate(self.n, at(self.row), at(vector), weight)

    def variance(self, Py_ssize_t state):
        """Variance of a state, a diagonal element of ``P``."""
        if not 0 <= state < self.n:
            raise IndexError(f"no state {state} of {self.n}")
        return self.kernel.variance(self.n, at(self.row), <int>state)

    def spread(self, row):
        """Variance of ``row @ x``."""
        row = shaped(row, (self.n,), self.dtype)
        return self.kernel.spread(self.n, at(self.row), at(row))


def increment(x, carry, dx):
    """Add increments ``(k, n)`` to a state ``(n,)`` with a carry: see `rom.ud.plain_increment`."""
    x = np.array(x, order="C")
    carry = np.array(shaped(carry, x.shape, x.dtype))
    dx = np.atleast_2d(np.asarray(dx))
    dx = shaped(dx, (len(dx), *x.shape), x.dtype)
    kernel_of(x.dtype, x.size).add(<int>x.size, at(x), at(carry), at(dx), len(dx))
    return x, carry
