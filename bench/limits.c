/* What hand-written C takes: each workload with its derivatives by formula, as a Python extension.

   Built by limits.py with -O3 -march=native -ffast-math. Functions take NumPy arrays, contiguous and of
   the right type and shape (nothing is checked), and write results into the arrays given last. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <math.h>
#include <numpy/arrayobject.h>
#include <stdint.h>
#include <string.h>

#define R restrict
#define ARRAY(k) PyArray_DATA((PyArrayObject *)a[k])
#define SIZE(k) PyArray_SIZE((PyArrayObject *)a[k])
#define INT(k) PyLong_AsLong(a[k])
#define FLOAT(k) PyFloat_AsDouble(a[k])
#define CALL(name) static PyObject *name(PyObject *self, PyObject *const *a, Py_ssize_t count)

/* ---------------------------------------------------------------- scalar: Rosenbrock of two numbers */

static inline double rosenbrock2(double x, double y, double *dx, double *dy) {
    double a = y - x * x, b = 1 - x;
    *dx = -400 * x * a - 2 * b;
    *dy = 200 * a;
    return 100 * a * a + b * b;
}

CALL(scalar_floats) {
    if (count != 2 || !PyFloat_CheckExact(a[0]) || !PyFloat_CheckExact(a[1])) {
        PyErr_SetString(PyExc_TypeError, "two floats");
        return NULL;
    }
    double dx, dy, v = rosenbrock2(PyFloat_AS_DOUBLE(a[0]), PyFloat_AS_DOUBLE(a[1]), &dx, &dy);
    PyObject *value = PyFloat_FromDouble(v), *gradient = PyTuple_New(2), *both = PyTuple_New(2);
    PyTuple_SET_ITEM(gradient, 0, PyFloat_FromDouble(dx));
    PyTuple_SET_ITEM(gradient, 1, PyFloat_FromDouble(dy));
    PyTuple_SET_ITEM(both, 0, value);
    PyTuple_SET_ITEM(both, 1, gradient);
    return both;
}

CALL(scalar_array) {
    PyArrayObject *x = (PyArrayObject *)a[0];
    if (count != 1 || !PyArray_CheckExact(a[0]) || PyArray_NDIM(x) != 1 || PyArray_DIM(x, 0) != 2 ||
        PyArray_TYPE(x) != NPY_DOUBLE || !PyArray_ISCARRAY_RO(x)) {
        PyErr_SetString(PyExc_TypeError, "an array of two floats");
        return NULL;
    }
    npy_intp two = 2;
    PyObject *gradient = PyArray_SimpleNew(1, &two, NPY_DOUBLE), *both = PyTuple_New(2);
    double *p = PyArray_DATA(x), *g = PyArray_DATA((PyArrayObject *)gradient);
    PyTuple_SET_ITEM(both, 0, PyFloat_FromDouble(rosenbrock2(p[0], p[1], g, g + 1)));
    PyTuple_SET_ITEM(both, 1, gradient);
    return both;
}

/* ---------------------------------------------------------------- Rosenbrock in n dimensions */

static double rosenbrock_n(long n, const double *R x, double *R g) {
    double v = 0, first = x[1] - x[0] * x[0];
    g[0] = -400 * x[0] * first - 2 * (1 - x[0]);
    v = 100 * first * first + (1 - x[0]) * (1 - x[0]);
    for (long i = 1; i < n - 1; i++) {
        double a = x[i + 1] - x[i] * x[i], before = x[i] - x[i - 1] * x[i - 1], b = 1 - x[i];
        g[i] = 200 * before - 400 * x[i] * a - 2 * b;
        v += 100 * a * a + b * b;
    }
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2]);
    return v;
}

CALL(rosenbrock) { return PyFloat_FromDouble(rosenbrock_n(SIZE(0), ARRAY(0), ARRAY(1))); }

/* ---------------------------------------------------------------- Lotka-Volterra: four tangents carried along */

typedef double four __attribute__((vector_size(32)));
typedef struct { double x, y; four dx, dy; } Dual2; /* both states, each with its tangents */

static inline __attribute__((always_inline)) Dual2 rate(Dual2 u, const double *p) {
    double xy = u.x * u.y;
    four dxy = u.dx * u.y + u.x * u.dy;
    return (Dual2){
        p[0] * u.x - p[1] * xy,
        p[2] * xy - p[3] * u.y,
        p[0] * u.dx - p[1] * dxy + (four){u.x, -xy, 0, 0},
        p[2] * dxy - p[3] * u.dy + (four){0, 0, xy, -u.y},
    };
}

static inline __attribute__((always_inline)) Dual2 ahead(Dual2 u, double h, Dual2 k) {
    return (Dual2){u.x + h * k.x, u.y + h * k.y, u.dx + h * k.dx, u.dy + h * k.dy};
}

static inline __attribute__((always_inline)) Dual2 rk4(Dual2 u, const double *p, double h) {
    Dual2 k1 = rate(u, p), k2 = rate(ahead(u, h / 2, k1), p);
    Dual2 k3 = rate(ahead(u, h / 2, k2), p), k4 = rate(ahead(u, h, k3), p);
    return ahead(ahead(u, h / 6, ahead(k1, 1, k4)), h / 3, ahead(k2, 1, k3));
}

/* lotka_volterra(p, start, steps, h, states, sensitivities): the final state and its Jacobian */
CALL(lotka_volterra) {
    double p[4], h = FLOAT(3), *start = ARRAY(1), *state = ARRAY(4), *rows = ARRAY(5);
    memcpy(p, ARRAY(0), sizeof p);
    Dual2 u = {start[0], start[1], {0}, {0}};
    for (long k = INT(2); k > 0; k--) u = rk4(u, p, h);
    state[0] = u.x, state[1] = u.y;
    memcpy(rows, &u.dx, sizeof u.dx);
    memcpy(rows + 4, &u.dy, sizeof u.dy);
    Py_RETURN_NONE;
}

/* lotka_volterra_fit(p, start, every, h, observed, gradient): a sum of squares along the way */
CALL(lotka_volterra_fit) {
    double p[4], h = FLOAT(3), *start = ARRAY(1), *observed = ARRAY(4), loss = 0;
    long every = INT(2), saved = SIZE(4) / 2;
    memcpy(p, ARRAY(0), sizeof p);
    Dual2 u = {start[0], start[1], {0}, {0}};
    four gradient = {0};
    for (long s = 0; s < saved; s++) {
        for (long k = 0; k < every; k++) u = rk4(u, p, h);
        double ex = u.x - observed[2 * s], ey = u.y - observed[2 * s + 1];
        loss += ex * ex + ey * ey;
        gradient += 2 * ex * u.dx + 2 * ey * u.dy;
    }
    memcpy(ARRAY(5), &gradient, sizeof gradient);
    return PyFloat_FromDouble(loss);
}

/* ---------------------------------------------------------------- elementwise: sum(tanh(x) exp(-x^2) + log1p(x^2)) */

/* Polynomials, for the compiler to write inline at full width; libm's own functions beside them. */

static inline double power2(double n) { /* for whole n */
    union { int64_t i; double d; } u = {((int64_t)n + 1023) << 52};
    return u.d;
}

static inline float power2f(float n) {
    union { int32_t i; float d; } u = {((int32_t)n + 127) << 23};
    return u.d;
}

/* exp(r) - 1 for r within half of log 2 */
static inline double small_d(double r) {
    double q = r * r, q4 = q * q;
    double a = 1.0 / 2 + r * (1.0 / 6) + q * (1.0 / 24 + r * (1.0 / 120));
    double b = 1.0 / 720 + r * (1.0 / 5040) + q * (1.0 / 40320 + r * (1.0 / 362880));
    double c = 1.0 / 3628800 + r * (1.0 / 39916800) + q * (1.0 / 479001600);
    return r + q * (a + q4 * (b + q4 * c));
}

static inline float small_s(float r) {
    float q = r * r;
    return r + q * (1.f / 2 + r * (1.f / 6) + q * (1.f / 24 + r * (1.f / 120) + q * (1.f / 720)));
}

/* x - n log 2 in two parts; fma() keeps -ffast-math from putting them together */
static inline double rest_d(double x, double n) {
    return fma(-n, 1.9082149292705877e-10, fma(-n, 0.6931471803691238, x));
}

static inline float rest_s(float x, float n) {
    return fmaf(n, 2.12194440e-4f, fmaf(-n, 0.693359375f, x));
}

static inline double exp_d(double x) {
    x = x < -700 ? -700 : x > 700 ? 700 : x;
    double n = __builtin_rint(x * 1.4426950408889634);
    return (1 + small_d(rest_d(x, n))) * power2(n);
}

static inline float exp_s(float x) {
    x = x < -87 ? -87 : x > 87 ? 87 : x;
    float n = __builtin_rintf(x * 1.44269504f);
    return (1 + small_s(rest_s(x, n))) * power2f(n);
}

/* tanh(x) = t / (t + 2) with t = exp(2 x) - 1 */
static inline double tanh_d(double x) {
    x = 2 * (x < -20 ? -20 : x > 20 ? 20 : x);
    double n = __builtin_rint(x * 1.4426950408889634), p = power2(n);
    double t = fma(small_d(rest_d(x, n)), p, p - 1);
    return t / (t + 2);
}

static inline float tanh_s(float x) {
    x = 2 * (x < -10 ? -10 : x > 10 ? 10 : x);
    float n = __builtin_rintf(x * 1.44269504f), p = power2f(n);
    float t = fmaf(small_s(rest_s(x, n)), p, p - 1);
    return t / (t + 2);
}

/* log(m 2^e) = e log 2 + 2 atanh((m - 1) / (m + 1)) with m within sqrt(1/2) and sqrt(2) */
static inline double log1p_d(double x) {
    union { double d; int64_t i; } u = {1 + x};
    int64_t e = (u.i - 0x3fe6a09e667f3bcd) >> 52;
    u.i -= e << 52;
    double f = e == 0 ? x : u.d - 1, s = f / (f + 2), z = s * s, z4 = z * z * z * z;
    double a = 1.0 / 3 + z * (1.0 / 5) + z * z * (1.0 / 7 + z * (1.0 / 9));
    double b = 1.0 / 11 + z * (1.0 / 13) + z * z * (1.0 / 15 + z * (1.0 / 17));
    return 0.6931471805599453 * (double)e + 2 * s * (1 + z * (a + z4 * (b + z4 * (1.0 / 19))));
}

static inline float log1p_s(float x) {
    union { float d; int32_t i; } u = {1 + x};
    int32_t e = (u.i - 0x3f3504f3) >> 23;
    u.i -= e << 23;
    float f = e == 0 ? x : u.d - 1, s = f / (f + 2), z = s * s;
    return 0.69314718f * (float)e + 2 * s * (1 + z * (1.f / 3 + z * (1.f / 5 + z * (1.f / 7))));
}

#define ELEMENTWISE(name, real, TANH, EXP, LOG1P)                                \
    static double name##_loop(long n, const real *R x, real *R g) {              \
        real v = 0;                                                              \
        for (long i = 0; i < n; i++) {                                           \
            real s = x[i] * x[i], t = TANH(x[i]), e = EXP(-s);                   \
            v += t * e + LOG1P(s);                                               \
            g[i] = e * (1 - t * t - 2 * x[i] * t) + 2 * x[i] / (1 + s);          \
        }                                                                        \
        return v;                                                                \
    }                                                                            \
    CALL(name) { return PyFloat_FromDouble(name##_loop(SIZE(0), ARRAY(0), ARRAY(1))); }

ELEMENTWISE(elementwise_float64, double, tanh_d, exp_d, log1p_d)
ELEMENTWISE(elementwise_float32, float, tanh_s, exp_s, log1p_s)
ELEMENTWISE(elementwise_libm_float64, double, tanh, exp, log1p)
ELEMENTWISE(elementwise_libm_float32, float, tanhf, expf, log1pf)

/* ---------------------------------------------------------------- second order: Rosenbrock(x) + sum log(1 + exp(-A x)) */

static inline double curvature(double z) { /* the second derivative of log(1 + exp(-z)) */
    double e = exp(-fabs(z));
    return e / ((1 + e) * (1 + e));
}

/* hvp(x, A, v, out): each row of A is read once */
CALL(hvp) {
    const double *R x = ARRAY(0), *R A = ARRAY(1), *R v = ARRAY(2);
    double *R o = ARRAY(3);
    long d = SIZE(0), rows = SIZE(1) / d;
    for (long i = 0; i < d; i++) {
        double h = i < d - 1 ? 1200 * x[i] * x[i] - 400 * x[i + 1] + 2 : 0;
        o[i] = (h + 200 * (i > 0)) * v[i];
        if (i < d - 1) o[i] -= 400 * x[i] * v[i + 1];
        if (i > 0) o[i] -= 400 * x[i - 1] * v[i - 1];
    }
    for (long r = 0; r + 4 <= rows; r += 4) {
        const double *R a = A + r * d, *R b = a + d, *R c = b + d, *R e = c + d;
        double z0 = 0, z1 = 0, z2 = 0, z3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        for (long j = 0; j < d; j++) {
            z0 += a[j] * x[j], z1 += b[j] * x[j], z2 += c[j] * x[j], z3 += e[j] * x[j];
            t0 += a[j] * v[j], t1 += b[j] * v[j], t2 += c[j] * v[j], t3 += e[j] * v[j];
        }
        t0 *= curvature(z0), t1 *= curvature(z1), t2 *= curvature(z2), t3 *= curvature(z3);
        for (long j = 0; j < d; j++) o[j] += t0 * a[j] + t1 * b[j] + t2 * c[j] + t3 * e[j];
    }
    for (long r = rows - rows % 4; r < rows; r++) {
        double z = 0, t = 0;
        for (long j = 0; j < d; j++) z += A[r * d + j] * x[j], t += A[r * d + j] * v[j];
        t *= curvature(z);
        for (long j = 0; j < d; j++) o[j] += t * A[r * d + j];
    }
    Py_RETURN_NONE;
}

/* BLAS is the one in SciPy, whose address comes from Python. */
typedef void Gemm(char *, char *, int *, int *, int *, void *, void *, int *, void *, int *, void *, void *, int *);
typedef void Syrk(char *, char *, int *, int *, double *, double *, int *, double *, double *, int *);
static Gemm *dgemm, *sgemm;
static Syrk *dsyrk;

CALL(use_blas) {
    dgemm = PyLong_AsVoidPtr(a[0]);
    sgemm = PyLong_AsVoidPtr(a[1]);
    dsyrk = PyLong_AsVoidPtr(a[2]);
    Py_RETURN_NONE;
}

/* hessian(x, A, H, scaled): half of S'S by BLAS, where S = sqrt(s) A, its mirror image and three diagonals */
CALL(hessian) {
    const double *R x = ARRAY(0), *R A = ARRAY(1);
    double *R H = ARRAY(2), *R S = ARRAY(3), one = 1, zero = 0;
    int d = SIZE(0), rows = SIZE(1) / d;
    for (long r = 0; r < rows; r++) {
        double z = 0;
        for (long j = 0; j < d; j++) z += A[r * d + j] * x[j];
        z = sqrt(curvature(z));
        for (long j = 0; j < d; j++) S[r * d + j] = z * A[r * d + j];
    }
    dsyrk("L", "N", &d, &rows, &one, S, &d, &zero, H, &d); /* by columns: the upper half of our rows */
    for (long i = 1; i < d; i++)
        for (long j = 0; j < i; j++) H[i * d + j] = H[j * d + i];
    for (long i = 0; i < d; i++) {
        if (i > 0) H[i * d + i] += 200, H[i * d + i - 1] -= 400 * x[i - 1];
        if (i < d - 1) H[i * d + i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2, H[i * d + i + 1] -= 400 * x[i];
    }
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- Lorenz by Dormand and Prince, adaptive */

typedef struct { double x, y, z; } Point;

static inline Point lorenz_rate(Point u) {
    return (Point){10 * (u.y - u.x), u.x * (28 - u.z) - u.y, u.x * u.y - 8.0 / 3 * u.z};
}

#define EACH(e) (Point){e(x), e(y), e(z)}

/* lorenz(start, until, first step, absolute, relative tolerance, state) */
CALL(lorenz) {
    double until = FLOAT(1), dt = FLOAT(2), absolute = FLOAT(3), relative = FLOAT(4), t = 0;
    Point u = *(Point *)ARRAY(0), k1 = lorenz_rate(u);
    while (t < until) {
        double h = dt < until - t ? dt : until - t;
#define U2(c) u.c + h * (1.0 / 5 * k1.c)
#define U3(c) u.c + h * (3.0 / 40 * k1.c + 9.0 / 40 * k2.c)
#define U4(c) u.c + h * (44.0 / 45 * k1.c - 56.0 / 15 * k2.c + 32.0 / 9 * k3.c)
#define U5(c) u.c + h * (19372.0 / 6561 * k1.c - 25360.0 / 2187 * k2.c + 64448.0 / 6561 * k3.c - 212.0 / 729 * k4.c)
#define U6(c) \
    u.c + h * (9017.0 / 3168 * k1.c - 355.0 / 33 * k2.c + 46732.0 / 5247 * k3.c + 49.0 / 176 * k4.c - 5103.0 / 18656 * k5.c)
#define U7(c) \
    u.c + h * (35.0 / 384 * k1.c + 500.0 / 1113 * k3.c + 125.0 / 192 * k4.c - 2187.0 / 6784 * k5.c + 11.0 / 84 * k6.c)
#define OFF(c)                                                                                             \
    h *(71.0 / 57600 * k1.c - 71.0 / 16695 * k3.c + 71.0 / 1920 * k4.c - 17253.0 / 339200 * k5.c + \
        22.0 / 525 * k6.c - 1.0 / 40 * k7.c) / (absolute + relative * fmax(fabs(u.c), fabs(w.c)))
        Point k2 = lorenz_rate(EACH(U2)), k3 = lorenz_rate(EACH(U3)), k4 = lorenz_rate(EACH(U4));
        Point k5 = lorenz_rate(EACH(U5)), k6 = lorenz_rate(EACH(U6)), w = EACH(U7), k7 = lorenz_rate(w);
        Point off = EACH(OFF);
        double error = sqrt((off.x * off.x + off.y * off.y + off.z * off.z) / 3);
        double factor = fmin(5, fmax(0.2, 0.9 * pow(error, -0.2)));
        if (error <= 1) t += h, u = w, k1 = k7;
        dt = h * factor;
    }
    *(Point *)ARRAY(5) = u;
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- network: one step of gradient descent, in place */

/* network(w1, b1, w2, b2, x, y, rate) for one sample, in loops;
   network_batch(w1, b1, w2, b2, x, y, rate, h, dh) for several, by BLAS. */
#define OUT 10
#define NETWORK(suffix, real, EXP, GEMM)                                                          \
    static void softmax_##suffix(const real *R z, const real *R y, real *R dz, real scale) {      \
        real top = z[0], total = 0;                                                               \
        for (int k = 1; k < OUT; k++) top = z[k] > top ? z[k] : top;                              \
        for (int k = 0; k < OUT; k++) total += dz[k] = EXP(z[k] - top);                           \
        for (int k = 0; k < OUT; k++) dz[k] = (dz[k] / total - y[k]) * scale;                     \
    }                                                                                             \
    CALL(network_##suffix) {                                                                      \
        real *R w1 = ARRAY(0), *R b1 = ARRAY(1), *R w2 = ARRAY(2), *R b2 = ARRAY(3);              \
        const real *R x = ARRAY(4), *R y = ARRAY(5);                                              \
        enum { m = 128 };                                                                         \
        long n = SIZE(4);                                                                         \
        real h[m], dh[m], z[OUT], dz[OUT], rate = FLOAT(6);                                       \
        memcpy(h, b1, sizeof h);                                                                  \
        for (long i = 0; i < n; i++)                                                              \
            for (int j = 0; j < m; j++) h[j] += x[i] * w1[i * m + j];                             \
        memcpy(z, b2, sizeof z);                                                                  \
        for (int j = 0; j < m; j++) {                                                             \
            h[j] = h[j] > 0 ? h[j] : 0;                                                           \
            for (int k = 0; k < OUT; k++) z[k] += h[j] * w2[j * OUT + k];                         \
        }                                                                                         \
        softmax_##suffix(z, y, dz, rate);                                                         \
        for (int j = 0; j < m; j++) {                                                             \
            real g = 0;                                                                           \
            for (int k = 0; k < OUT; k++) {                                                       \
                g += w2[j * OUT + k] * dz[k];                                                     \
                w2[j * OUT + k] -= h[j] * dz[k];                                                  \
            }                                                                                     \
            dh[j] = h[j] > 0 ? g : 0;                                                             \
            b1[j] -= dh[j];                                                                       \
        }                                                                                         \
        for (int k = 0; k < OUT; k++) b2[k] -= dz[k];                                             \
        for (long i = 0; i < n; i++)                                                              \
            for (int j = 0; j < m; j++) w1[i * m + j] -= x[i] * dh[j];                            \
        Py_RETURN_NONE;                                                                           \
    }                                                                                             \
    CALL(network_batch_##suffix) {                                                                \
        real *R w1 = ARRAY(0), *R b1 = ARRAY(1), *R w2 = ARRAY(2), *R b2 = ARRAY(3);              \
        real *R x = ARRAY(4), *R y = ARRAY(5), *R h = ARRAY(7), *R dh = ARRAY(8);                 \
        int m = SIZE(1), batch = SIZE(7) / m, n = SIZE(4) / batch;                                \
        real one = 1, less = -1, z[OUT], dz[OUT], rate = FLOAT(6) / batch;                        \
        for (int s = 0; s < batch; s++) memcpy(h + s * m, b1, m * sizeof(real));                  \
        GEMM("N", "N", &m, &batch, &n, &one, w1, &m, x, &n, &one, h, &m);                         \
        real dw2[128 * OUT] = {0}, db2[OUT] = {0};                                                \
        for (int s = 0; s < batch; s++) {                                                         \
            real *R u = h + s * m, *R du = dh + s * m;                                            \
            memcpy(z, b2, sizeof z);                                                              \
            for (int j = 0; j < m; j++) {                                                         \
                u[j] = u[j] > 0 ? u[j] : 0;                                                       \
                for (int k = 0; k < OUT; k++) z[k] += u[j] * w2[j * OUT + k];                     \
            }                                                                                     \
            softmax_##suffix(z, y + s * OUT, dz, rate);                                           \
            for (int j = 0; j < m; j++) {                                                         \
                real g = 0;                                                                       \
                for (int k = 0; k < OUT; k++) {                                                   \
                    g += w2[j * OUT + k] * dz[k];                                                 \
                    dw2[j * OUT + k] += u[j] * dz[k];                                             \
                }                                                                                 \
                du[j] = u[j] > 0 ? g : 0;                                                         \
            }                                                                                     \
            for (int k = 0; k < OUT; k++) db2[k] += dz[k];                                        \
        }                                                                                         \
        for (int k = 0; k < m * OUT; k++) w2[k] -= dw2[k];                                        \
        for (int k = 0; k < OUT; k++) b2[k] -= db2[k];                                            \
        for (int s = 0; s < batch; s++)                                                           \
            for (int j = 0; j < m; j++) b1[j] -= dh[s * m + j];                                   \
        GEMM("N", "T", &m, &n, &batch, &less, dh, &m, x, &n, &one, w1, &m);                       \
        Py_RETURN_NONE;                                                                           \
    }

NETWORK(float64, double, exp, dgemm)
NETWORK(float32, float, expf, sgemm)

/* ---------------------------------------------------------------- lenet: one step of gradient descent, in place */

/* lenet(w1, b1, w2, b2, w3, b3, w4, b4, x, y, rate, scratch), images of 28 x 28: two convolutions of 5 x 5 to 6 and 16 channels,
   each with relu and a pool of 2 x 2, then layers of 120 and 10. Tiles of the results stay in registers. */
#define INLINE static inline __attribute__((always_inline))
typedef int I4 __attribute__((vector_size(16)));
typedef float V4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float V8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float V16 __attribute__((vector_size(64), aligned(4), may_alias));
enum { TAPS = 25 };

INLINE void lenet_convolve(const float *R x, const float *R k, const float *R b, float *R y, int c_in, int side, int c_out,
                           const int channels, const int rows, const int across) {
    const int n = side - 4;
    for (int o = 0; o < c_out; o += channels)
        for (int i = 0; i < n; i += rows) {
            V8 total[channels][rows][across];
            for (int a = 0; a < channels; a++)
                for (int r = 0; r < rows; r++)
                    for (int w = 0; w < across; w++) total[a][r][w] = b[o + a] - (V8){0};
            for (int c = 0; c < c_in; c++)
                for (int u = 0; u < 5; u++)
#pragma GCC unroll 5
                    for (int v = 0; v < 5; v++)
#pragma GCC unroll 8
                        for (int a = 0; a < channels; a++)
#pragma GCC unroll 8
                            for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
                                for (int w = 0; w < across; w++)
                                    total[a][r][w] += k[((o + a) * c_in + c) * TAPS + u * 5 + v] *
                                                      *(const V8 *)(x + (c * side + i + r + u) * side + 8 * w + v);
            for (int a = 0; a < channels; a++)
                for (int r = 0; r < rows; r++)
                    for (int w = 0; w < across; w++)
                        *(V8 *)(y + ((o + a) * n + i + r) * n + 8 * w) = total[a][r][w];
        }
}

#define WHERE(test, x) ((V4)((test) & (I4)(x)))
#define GREATER(a, b) (WHERE((a) > (b), a) + WHERE((a) <= (b), b))
#define EVEN(x) __builtin_shufflevector(x, x, 0, 2, 4, 6)
#define ODD(x) __builtin_shufflevector(x, x, 1, 3, 5, 7)

INLINE void lenet_pool(const float *R x, float *R y, int channels, const int side) {
    const int n = side / 2;
    for (int i = 0; i < channels * n; i++)
        for (int j = 0; j < n; j += 4) {
            V8 up = *(const V8 *)(x + 2 * i * side + 2 * j), low = *(const V8 *)(x + (2 * i + 1) * side + 2 * j);
            V4 a = EVEN(up), b = ODD(up), c = EVEN(low), d = ODD(low);
            a = GREATER(a, b), c = GREATER(c, d), a = GREATER(a, c);
            *(V4 *)(y + i * n + j) = WHERE(a > 0, a);
        }
}

/* The cotangent of what was pooled, in place of x: to the first of the greatest, if that is positive. */
INLINE void lenet_unpool(float *R x, const float *R y, const float *R t, int channels, const int side) {
    const int n = side / 2;
    for (int i = 0; i < channels * n; i++)
        for (int j = 0; j < n; j += 4) {
            V8 *up = (V8 *)(x + 2 * i * side + 2 * j), *low = (V8 *)(x + (2 * i + 1) * side + 2 * j);
            V4 best = *(const V4 *)(y + i * n + j), g = WHERE(best > 0, *(const V4 *)(t + i * n + j));
            I4 first = EVEN(*up) == best, second = ~first & (ODD(*up) == best), third = EVEN(*low) == best;
            third &= ~(first | second);
            V4 a = WHERE(first, g), b = WHERE(second, g), c = WHERE(third, g), d = WHERE(~(first | second | third), g);
            *up = __builtin_shufflevector(a, b, 0, 4, 1, 5, 2, 6, 3, 7);
            *low = __builtin_shufflevector(c, d, 0, 4, 1, 5, 2, 6, 3, 7);
        }
}

INLINE void lenet_kernel(const float *R x, const float *R t, float *R dk, float *R db, int c_in, int side, int c_out,
                         const int channels) {
    const int n = side - 4;
    for (int o = 0; o < c_out; o++) {
        float sum = 0;
        for (int i = 0; i < n * n; i++) sum += t[o * n * n + i];
        db[o] += sum;
    }
    for (int o = 0; o < c_out; o += channels)
        for (int c = 0; c < c_in; c++)
            for (int u = 0; u < 5; u++) {
                V8 total[channels][5];
                memset(total, 0, sizeof total);
                for (int i = 0; i < n; i++)
                    for (int j = 0; j < n; j += 8)
#pragma GCC unroll 8
                        for (int a = 0; a < channels; a++) {
                            V8 g = *(const V8 *)(t + ((o + a) * n + i) * n + j);
#pragma GCC unroll 5
                            for (int v = 0; v < 5; v++) total[a][v] += g * *(const V8 *)(x + (c * side + i + u) * side + j + v);
                        }
                for (int a = 0; a < channels; a++)
                    for (int v = 0; v < 5; v++) {
                        float sum = 0;
                        for (int l = 0; l < 8; l++) sum += total[a][v][l];
                        dk[((o + a) * c_in + c) * TAPS + u * 5 + v] += sum;
                    }
            }
}

/* From 16 channels of 8 x 8 to 6 of 12 x 12; `wide` has zeros around each plane of t. */
INLINE void lenet_image(const float *R t, const float *R k, float *R dx, float *R wide) {
    enum { ROW = 24, PLANE = 16 * ROW };
    for (int o = 0; o < 16; o++)
        for (int i = 0; i < 8; i++) *(V8 *)(wide + o * PLANE + (i + 4) * ROW + 4) = *(const V8 *)(t + (o * 8 + i) * 8);
    for (int i = 0; i < 12; i += 2) {
        V16 total[6][2];
        memset(total, 0, sizeof total);
        for (int o = 0; o < 16; o++)
            for (int u = i > 7 ? i - 7 : 0; u < 5 && u < i + 2; u++)
#pragma GCC unroll 5
                for (int v = 0; v < 5; v++)
#pragma GCC unroll 6
                    for (int c = 0; c < 6; c++)
#pragma GCC unroll 2
                        for (int r = 0; r < 2; r++)
                            total[c][r] += k[(o * 6 + c) * TAPS + u * 5 + v] *
                                           *(const V16 *)(wide + o * PLANE + (i + r - u + 4) * ROW + 4 - v);
        for (int c = 0; c < 6; c++)
            for (int r = 0; r < 2; r++) memcpy(dx + (c * 12 + i + r) * 12, &total[c][r], 12 * sizeof(float));
    }
}

CALL(lenet) {
    float *p[8], *g[8], *room = ARRAY(11), rate = FLOAT(10);
    const float *x = ARRAY(8), *y = ARRAY(9);
    int batch = SIZE(9) / OUT;
    const int sizes[8] = {150, 6, 2400, 16, 30720, 120, 1200, 10};
    for (int k = 0; k < 8; k++) p[k] = ARRAY(k), g[k] = room, room += sizes[k] + 16;
    float *wide = room, *d1 = wide + 16 * 16 * 24 + 16, *f = d1 + 880, *df = f + batch * 256, *h = df + batch * 256,
          *dh = h + batch * 120, *y1 = dh + batch * 120, *q1 = y1 + batch * 3456, *y2 = q1 + batch * 864 + 16;
    memset(g[0], 0, (char *)wide - (char *)g[0]);
    memset(wide, 0, (16 * 16 * 24 + 16) * sizeof(float));
    for (int s = 0; s < batch; s++) {
        lenet_convolve(x + s * 784, p[0], p[1], y1 + s * 3456, 1, 28, 6, 3, 2, 3);
        lenet_pool(y1 + s * 3456, q1 + s * 864, 6, 24);
        lenet_convolve(q1 + s * 864, p[2], p[3], y2 + s * 1024, 6, 12, 16, 4, 4, 1);
        lenet_pool(y2 + s * 1024, f + s * 256, 16, 8);
        memcpy(h + s * 120, p[5], 120 * sizeof(float));
    }
    int n = 256, m = 120;
    float one = 1, none = 0;
    if (batch > 1) sgemm("T", "N", &m, &batch, &n, &one, p[4], &n, f, &n, &one, h, &m);
    for (int s = 0; s < batch; s++) {
        float *u = h + s * 120, *du = dh + s * 120, z[OUT], dz[OUT];
        for (int j = 0; j < 120; j++) {
            float sum = 0;
            if (batch == 1)
                for (int i = 0; i < 256; i++) sum += p[4][j * 256 + i] * f[i];
            u[j] = u[j] + sum > 0 ? u[j] + sum : 0;
        }
        for (int k = 0; k < OUT; k++) {
            float sum = p[7][k];
            for (int j = 0; j < 120; j++) sum += p[6][k * 120 + j] * u[j];
            z[k] = sum;
        }
        softmax_float32(z, y + s * OUT, dz, 1.0f / batch);
        memset(du, 0, 120 * sizeof(float));
        for (int k = 0; k < OUT; k++) {
            g[7][k] += dz[k];
            for (int j = 0; j < 120; j++) du[j] += dz[k] * p[6][k * 120 + j], g[6][k * 120 + j] += dz[k] * u[j];
        }
        for (int j = 0; j < 120; j++) du[j] = u[j] > 0 ? du[j] : 0, g[5][j] += du[j];
    }
    if (batch > 1) {
        sgemm("N", "N", &n, &batch, &m, &one, p[4], &n, dh, &m, &none, df, &n);
        float less = -rate;
        sgemm("N", "T", &n, &m, &batch, &less, f, &n, dh, &m, &one, p[4], &n);
    } else {
        memset(df, 0, 256 * sizeof(float));
        for (int j = 0; j < 120; j++)
            for (int i = 0; i < 256; i++) {
                df[i] += dh[j] * p[4][j * 256 + i];
                p[4][j * 256 + i] -= rate * dh[j] * f[i];
            }
    }
    for (int s = 0; s < batch; s++) {
        lenet_unpool(y2 + s * 1024, f + s * 256, df + s * 256, 16, 8);
        lenet_kernel(q1 + s * 864, y2 + s * 1024, g[2], g[3], 6, 12, 16, 4);
        lenet_image(y2 + s * 1024, p[2], d1, wide);
        lenet_unpool(y1 + s * 3456, q1 + s * 864, d1, 6, 24);
        lenet_kernel(x + s * 784, y1 + s * 3456, g[0], g[1], 1, 28, 6, 3);
    }
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < (k == 4 ? 0 : sizes[k]); i++) p[k][i] -= rate * g[k][i];
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- loops as written: each reversed by hand */

CALL(loops_recurrence) {
    long n = SIZE(0);
    const double *R x = ARRAY(0);
    double *R g = ARRAY(1), *R c = ARRAY(2), y = x[0], sum = y, w = 1;
    for (long i = 1; i < n; i++) {
        double s = 1 + sin(y);
        c[i] = y, g[i] = s, y = s * x[i], sum += y;
    }
    for (long i = 1; i < n; i++) c[i] = cos(c[i]) * x[i];
    for (long i = n - 1; i > 0; i--) g[i] *= w, w = 1 + w * c[i];
    g[0] = w;
    return PyFloat_FromDouble(sum);
}

CALL(loops_thomas) { /* the reverse solves the transposed system with the same factors */
    long n = SIZE(0);
    const double *R A = ARRAY(0), *R B = ARRAY(1), *R C = ARRAY(2), *R D = ARRAY(3);
    double *R ga = ARRAY(4), *R gb = ARRAY(5), *R gc = ARRAY(6), *R gd = ARRAY(7), *R x = ARRAY(8);
    double *R u = x + n, *R m = u + n, sum = 0, before = 0, z = 0, l = 0;
    for (long i = 0; i < n; i++) {
        m[i] = 1 / (B[i] - (i ? A[i] * before : 0));
        before = u[i] = C[i] * m[i];
        z = x[i] = (D[i] - (i ? A[i] * z : 0)) * m[i];
    }
    for (long i = n - 1; i >= 0; i--) {
        x[i] -= i < n - 1 ? u[i] * x[i + 1] : 0;
        sum += x[i] * x[i];
    }
    for (long i = 0; i < n; i++) z = 2 * x[i] - (i ? u[i - 1] * z : 0), gd[i] = z * m[i];
    for (long i = n - 1; i >= 0; i--) l = gd[i] -= i < n - 1 ? A[i + 1] * m[i] * l : 0;
    for (long i = 0; i < n; i++) {
        ga[i] = i ? -gd[i] * x[i - 1] : 0, gb[i] = -gd[i] * x[i];
        gc[i] = i < n - 1 ? -gd[i] * x[i + 1] : 0;
    }
    return PyFloat_FromDouble(sum);
}

CALL(loops_heat) {
    long n = SIZE(0), steps = 50;
    const double *R w = ARRAY(1);
    double *now = ARRAY(2), *new = ARRAY(3), *t, *gw = ARRAY(4), sum = 0;
    memcpy(now, ARRAY(0), n * 8), memcpy(new, now, n * 8);
    for (long s = 0; s < steps; s++, t = now, now = new, new = t)
        for (long i = 1; i < n - 1; i++) new[i] = now[i] + 0.2 * (now[i + 1] - 2 * now[i] + now[i - 1]);
    for (long i = 0; i < n; i++) {
        gw[i] = now[i] * now[i], sum += w[i] * gw[i];
        now[i] *= 2 * w[i];
    }
    for (long s = 0; s < steps; s++, t = now, now = new, new = t) {
        for (long i = 2; i < n - 2; i++) new[i] = 0.6 * now[i] + 0.2 * (now[i - 1] + now[i + 1]);
        new[0] = now[0] + 0.2 * now[1], new[n - 1] = now[n - 1] + 0.2 * now[n - 2];
        new[1] = 0.6 * now[1] + 0.2 * now[2], new[n - 2] = 0.6 * now[n - 2] + 0.2 * now[n - 3];
    }
    return PyFloat_FromDouble(sum); /* the gradient of u is in the first buffer: steps is even */
}

CALL(loops_cholesky) {
    long n = PyArray_DIM((PyArrayObject *)a[0], 0);
    double *R A = ARRAY(0), *R G = ARRAY(1), *R L = ARRAY(2), *R B = ARRAY(3), sum = 0;
    for (long j = 0; j < n; j++) {
        double *R r = L + j * n, s = 0;
        for (long k = 0; k < j; k++) s += r[k] * r[k];
        r[j] = sqrt(A[j * n + j] - s), sum += log(r[j]);
        for (long i = j + 1; i < n; i++) {
            const double *p = L + i * n;
            s = 0;
            for (long k = 0; k < j; k++) s += p[k] * r[k];
            L[i * n + j] = (A[i * n + j] - s) / r[j];
        }
    }
    memset(B, 0, n * n * 8), memset(G, 0, n * n * 8);
    for (long j = 0; j < n; j++) B[j * n + j] = 1 / L[j * n + j];
    for (long j = n - 1; j >= 0; j--) {
        const double *R r = L + j * n;
        double *R b = B + j * n, t;
        for (long i = n - 1; i > j; i--) {
            const double *R p = L + i * n;
            double *R q = B + i * n;
            G[i * n + j] = t = q[j] / r[j];
            for (long k = 0; k < j; k++) q[k] -= t * r[k], b[k] -= t * p[k];
            b[j] -= t * p[j];
        }
        G[j * n + j] = t = 0.5 * b[j] / r[j];
        for (long k = 0; k < j; k++) b[k] -= 2 * t * r[k];
    }
    return PyFloat_FromDouble(sum);
}

CALL(loops_kepler) {
    long n = SIZE(0);
    const double *R e = ARRAY(0), *R m = ARRAY(1);
    double *R ge = ARRAY(2), *R gm = ARRAY(3), sum = 0, s[30], c[30], d[30], h[30];
    for (long k = 0; k < n; k++) {
        double x = m[k], be = 0, bm = 0;
        int count = 0;
        while (count < 30) {
            s[count] = sin(x), c[count] = cos(x);
            d[count] = 1 / (1 - e[k] * c[count]);
            h[count] = (x - e[k] * s[count] - m[k]) * d[count];
            x -= h[count];
            if (fabs(h[count++]) < 1e-12) break;
        }
        sum += sin(x);
        double b = cos(x);
        while (count--) {
            be += b * (s[count] - h[count] * c[count]) * d[count], bm += b * d[count];
            b *= h[count] * e[k] * s[count] * d[count];
        }
        ge[k] = be, gm[k] = bm + b;
    }
    return PyFloat_FromDouble(sum);
}

CALL(loops_gauss_seidel) {
    long n = PyArray_DIM((PyArrayObject *)a[0], 0), sweeps = 5;
    const double *R b = ARRAY(1);
    double *R u = ARRAY(2), *R gb = ARRAY(3), sum = 0; /* u becomes its gradient */
    memcpy(u, ARRAY(0), n * n * 8), memset(gb, 0, n * n * 8);
    for (long s = 0; s < sweeps; s++)
        for (long i = 1; i < n - 1; i++) {
            double *r = u + i * n, left = r[0];
            for (long j = 1; j < n - 1; j++)
                r[j] = left = 0.25 * (r[j - n] + r[j + n] + r[j + 1] + 0.01 * b[i * n + j] + left);
        }
    for (long k = 0; k < n * n; k++) sum += u[k] * u[k], u[k] *= 2;
    for (long s = 0; s < sweeps; s++)
        for (long i = n - 2; i > 0; i--)
            for (long j = n - 2; j > 0; j--) {
                double *r = u + i * n + j, t = 0.25 * r[0];
                r[0] = 0, r[-n] += t, r[n] += t, r[-1] += t, r[1] += t;
                gb[i * n + j] += 0.01 * t;
            }
    return PyFloat_FromDouble(sum);
}

CALL(loops_soft_dtw) { /* row by row, with the three weights of every cell kept */
    long m = SIZE(0), n = SIZE(1), N = n + 1;
    const double *R x = ARRAY(0), *R y = ARRAY(1);
    double *R gx = ARRAY(2), *R gy = ARRAY(3), *R r = ARRAY(4), *R w = ARRAY(5), value;
    for (long k = 0; k < (m + 1) * N; k++) r[k] = 1e300;
    r[0] = 0;
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            double *p = r + i * N + j, *q = w + 3 * (i * n + j), d = x[i] - y[j];
            double low = fmin(fmin(p[1], p[N]), p[0]);
            double one = exp(low - p[1]), two = exp(low - p[N]), three = exp(low - p[0]);
            double s = one + two + three;
            q[0] = one / s, q[1] = two / s, q[2] = three / s;
            p[N + 1] = d * d + low - log(s);
        }
    value = r[m * N + n];
    memset(r, 0, (m + 1) * N * 8), memset(gx, 0, m * 8), memset(gy, 0, n * 8);
    r[m * N + n] = 1;
    for (long i = m - 1; i >= 0; i--)
        for (long j = n - 1; j >= 0; j--) {
            double *p = r + i * N + j, *q = w + 3 * (i * n + j), t = p[N + 1];
            double d = 2 * (x[i] - y[j]) * t;
            p[1] += q[0] * t, p[N] += q[1] * t, p[0] += q[2] * t;
            gx[i] += d, gy[j] -= d;
        }
    return PyFloat_FromDouble(value);
}

/* ---------------------------------------------------------------- the module */

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD(scalar_floats), METHOD(scalar_array), METHOD(rosenbrock), METHOD(lotka_volterra),
    METHOD(lotka_volterra_fit), METHOD(elementwise_float64), METHOD(elementwise_float32),
    METHOD(elementwise_libm_float64), METHOD(elementwise_libm_float32), METHOD(hvp), METHOD(hessian),
    METHOD(lorenz), METHOD(network_float64), METHOD(network_float32), METHOD(network_batch_float64),
    METHOD(network_batch_float32), METHOD(lenet), METHOD(use_blas),
    METHOD(loops_recurrence), METHOD(loops_thomas), METHOD(loops_heat), METHOD(loops_cholesky),
    METHOD(loops_kepler), METHOD(loops_gauss_seidel), METHOD(loops_soft_dtw), {NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "limits", NULL, -1, methods};

PyMODINIT_FUNC PyInit_limits(void) {
    import_array();
    return PyModule_Create(&module);
}
