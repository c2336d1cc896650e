"""Writes the table of reference values that the tests of the special functions read.

    pip install mpmath gmpy2
    python3 reference.py > reference.tsv          # the table kept here
    python3 reference.py 4 > large.tsv            # four times as many points, for ELBO_SPECIAL_TABLE

A line that starts with `@` names a function; the lines below it hold the arguments and the value as an unevaluated
sum of two doubles, all in hexadecimal. Arguments have at most 24 significant bits, which keeps the table small; those
of inverse functions have all 53. Every value comes from a formula in at least 50 digits that shares nothing with the
code under test: power series with positive terms where mpmath has nothing fast.
"""

import random
import sys

from mpmath import mp, mpf

mp.dps = 50
DENSITY = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


def short(x):
    """`x` with 24 significant bits."""
    m, e = mp.frexp(mpf(x))
    return float(mp.ldexp(mp.nint(m * 2**24), e - 24))


def log_uniform(low, high):
    return short(mp.exp(random.uniform(float(mp.log(low)), float(mp.log(high)))))


def hexadecimal(x):
    text = float(x).hex()
    mantissa, exponent = text.split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + exponent.lstrip("+")


def low_part(x):
    """Sixteen bits say what is left to a hundred-thousandth of an ulp."""
    m, e = mp.frexp(x)
    return 0.0 if x == 0 else float(mp.ldexp(mp.nint(m * 2**16), e - 16))


def write(name, function, points):
    print("@" + name)
    for arguments in points:
        arguments = [float(a) for a in arguments]
        value = function(*[mpf(a) for a in arguments])
        if not mp.isfinite(value) or (value != 0 and not mpf("1e-300") < abs(value) < mpf("1e300")):
            continue
        high = float(value)
        print(*[hexadecimal(a) for a in arguments], hexadecimal(high), hexadecimal(low_part(value - high)))


def count(n):
    return range(max(1, int(n * DENSITY)))


def beside(center, n):
    """Numbers that close in on `center` from both sides."""
    for _ in count(n):
        yield [float(mpf(center) + random.choice([-1, 1]) * mpf(10) ** random.uniform(-15, -1))]


def positive(n):
    for _ in count(n):
        yield [log_uniform(1e-300, 1e-3)]
    for _ in count(5 * n):
        yield [log_uniform(1e-3, 30)]
    for _ in count(n):
        yield [log_uniform(30, 1e6)]
    for _ in count(n):
        yield [log_uniform(1e6, 1e290)]


def ln_gamma(x):
    return mp.loggamma(x).real


def gamma_points(n):
    """Shapes from 1e-3 to 1e6; a third beside the mean, a third over the tails, a third anywhere."""
    for i in count(n):
        a = mpf(log_uniform(1e-3, 1e6) if i % 4 else log_uniform(0.3, 40))
        if i % 3 == 0:
            x = a * (1 + mpf(random.uniform(-1, 1)) / mp.sqrt(a + 1))
        elif i % 3 == 1:
            x = a + random.uniform(-36, 36) * mp.sqrt(a) + (random.uniform(0, 600) if random.random() < 0.3 else 0)
        else:
            x = a * mp.exp(random.uniform(-4, 4)) if a < 50 else a * mp.exp(random.uniform(-1, 1))
        if a < 1:
            x = mpf(log_uniform(1e-12, 600))
        if x > 0:
            yield [short(a), short(x)]


def gamma_prefactor(a, x):
    return mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1))


def gamma_series(a, x):
    term, total, k = mpf(1), mpf(1), a
    limit = mpf(10) ** (-mp.dps)
    while term > total * limit or k < x:
        k += 1
        term = term * x / k
        total += term
    return gamma_prefactor(a, x) * total


def gamma_p(a, x):
    if x > a + 60 * mp.sqrt(a) + 3000:
        return mpf(1)
    with mp.workdps(60):
        return gamma_series(a, x)


def gamma_q(a, x):
    if x > a + 60 * mp.sqrt(a) + 3000:
        return mpf(0)
    digits = 60 + max(0, int((x - a - a * mp.log(x / a)) / mp.log(10))) if x > a else 60
    if digits > 400:
        return mpf(0)
    digits += max(0, int(-mp.log10(min(a, mpf(1)))))
    with mp.workdps(digits):
        return 1 - gamma_series(a, x)


def beta_points(n):
    for i in count(n):
        a = mpf(log_uniform(1e-2, 1e6) if i % 2 else log_uniform(0.3, 40))
        b = mpf(log_uniform(1e-2, 1e6) if i % 4 else log_uniform(0.3, 40))
        mean = a / (a + b)
        deviation = mp.sqrt(mean * (1 - mean) / (a + b + 1))
        if i % 3 == 0:
            x = mean + random.uniform(-1, 1) * deviation
        elif i % 3 == 1:
            x = mean + random.uniform(-30, 30) * deviation
        else:
            odds = mean / (1 - mean) * mp.exp(random.uniform(-5, 5))
            x = odds / (1 + odds)
        if 0 < x < 1 and 0 < short(x) < 1:
            yield [short(a), short(b), short(x)]


def beta_lower(a, b, x):
    with mp.workdps(mp.dps + 10):
        term, total, k = mpf(1), mpf(1), mpf(0)
        limit = mpf(10) ** (-mp.dps)
        while term > total * limit:
            term = term * x * (a + b + k) / (a + 1 + k)
            total += term
            k += 1
            if k > 20000:
                return mp.nan
        ln = a * mp.log(x) + b * mp.log1p(-x) + mp.loggamma(a + b) - mp.loggamma(a + 1) - mp.loggamma(b)
        return mp.exp(ln) * total


def beta(a, b, x):
    below = x <= (a + 1) / (a + b + 2)
    value = beta_lower(a, b, x) if below else 1 - beta_lower(b, a, 1 - x)
    if below and mp.isnan(value):
        with mp.workdps(mp.dps + 320):
            value = 1 - beta_lower(b, a, 1 - x)
    return value if value > mpf("1e-305") else mp.nan


def bessel_ratio(nu, x):
    """`I_(nu+1)(x) / I_nu(x)` by its continued fraction from the far end."""
    digits = mp.dps * 2.4
    steps = int(max(0.0, (float(x) * digits) ** 0.5 - float(nu) / 2) + digits + 20)
    order = nu + steps
    r = x / (order + 1 + mp.sqrt((order + 1) ** 2 + x**2))
    while steps:
        r = x / (2 * order + x * r)
        order -= 1
        steps -= 1
    return r


def ratio_points(n):
    for _ in count(n):
        yield [short(random.choice([0, 0.5, 1, 2, 5, 24, 499, 4999, log_uniform(0.01, 1e4)])), log_uniform(1e-8, 1e5)]


def ln_bessel(nu, x):
    if nu**2 * 4 < x:
        return mp.log(mp.besseli(nu, x))
    with mp.workdps(60):
        term, total, k = mpf(1), mpf(1), mpf(0)
        square = x * x / 4
        while term > total * mpf(10) ** -60:
            k += 1
            term = term * square / (k * (nu + k))
            total += term
        return nu * mp.log(x / 2) - mp.loggamma(nu + 1) + mp.log(total)


def bessel_points(n):
    for _ in count(n):
        nu = short(random.choice([0, 0.5, 1, 2, 5, 24, 499, log_uniform(0.01, 3e3)]))
        yield [nu, log_uniform(1e-6, 3e4)]


def normal_cdf(x):
    return mp.ncdf(x) if x > -5 else mp.erfc(-x / mp.sqrt(2)) / 2


def ln_normal_cdf(x):
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def newton(function, derivative, target, x):
    for _ in range(4):
        x -= (function(x) - target) / derivative(x)
    return x


def normal_quantile_start(p):
    q = min(p, 1 - p)
    t = mp.sqrt(-2 * mp.log(q))
    x = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t**3)
    return -x if p < 0.5 else x


def normal_quantile(p):
    x = normal_quantile_start(p)
    for _ in range(6):  # on the logarithm, or on the difference from one half
        if abs(p - 0.5) < 0.4:
            x -= (mp.erf(x / mp.sqrt(2)) / 2 - (p - mpf(0.5))) / mp.npdf(x)
        elif p < 0.5:
            c = mp.erfc(-x / mp.sqrt(2)) / 2
            x -= mp.log(c / p) * c / mp.npdf(x)
        else:
            c = mp.erfc(x / mp.sqrt(2)) / 2
            x += mp.log(c / (1 - p)) * c / mp.npdf(x)
    return x


def normal_quantile_of_ln(ln_p):
    if ln_p > -600:
        with mp.workdps(80):
            return normal_quantile(mp.exp(ln_p))
    x = -mp.sqrt(-2 * ln_p)
    for _ in range(8):
        mills = mp.sqrt(mp.pi / 2) * mp.exp(x * x / 2) * mp.erfc(-x / mp.sqrt(2))
        x -= (mp.log(mills) - x * x / 2 - mp.log(2 * mp.pi) / 2 - ln_p) * mills
    return x


def probabilities(n):
    for _ in count(n):
        yield [log_uniform(1e-299, 0.5)]
        yield [short(random.uniform(0.001, 0.999))]
        yield [1 - log_uniform(1e-15, 0.4)]


def inverse_points(points, function, limit):
    """The last argument replaced by the function there, rounded; the root is then near the old argument."""
    for arguments in points:
        p = function(*[mpf(a) for a in arguments])
        if mpf("1e-290") < p < limit:
            yield arguments[:-1], arguments[-1], float(p)


def write_inverse(name, points, root):
    print("@" + name)
    for fixed, near, p in points:
        x = root(*[mpf(a) for a in fixed], mpf(near), mpf(p))
        if mp.isfinite(x) and mpf("1e-290") < x:
            high = float(x)
            print(*[hexadecimal(a) for a in [*fixed, p]], hexadecimal(high), hexadecimal(low_part(x - high)))


def gamma_root(sign, function):
    def root(a, x, p):
        for _ in range(2):
            x -= sign * (function(a, x) - p) / (gamma_prefactor(a, x) * a / x)
        return x

    return root


def beta_root(a, b, x, p):
    ln_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    for _ in range(2):
        x -= (beta(a, b, x) - p) / mp.exp((a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - ln_beta)
    return x


def resultant_root(d, x, p):
    for _ in range(2):
        r = bessel_ratio(d / 2 - 1, x)
        x -= (r - p) / (1 - r * r - (d - 1) / x * r)
    return x


def main():
    random.seed(20240229)
    write("ln_gamma", ln_gamma, [*positive(25), *beside(1, 40), *beside(2, 40)])
    write("digamma", mp.digamma, [*positive(25), *beside("1.4616321449683623412626595423257", 60)])
    write("trigamma", lambda x: mp.psi(1, x), [*positive(15)])
    zero_free = [[log_uniform(1e-3, 1e6), log_uniform(1e-12, 1e3)] for _ in count(100)]
    write("ln_gamma_ratio", lambda x, d: mp.loggamma(x + d) - mp.loggamma(x), zero_free)
    pairs = [[log_uniform(1e-3, 1e6), log_uniform(1e-3, 1e6)] for _ in count(150)]
    write("ln_beta", lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b), pairs)
    counts = [[n, random.randint(0, n)] for n in (random.randint(1, 10 ** random.randint(1, 9)) for _ in count(60))]
    counts += [[n, random.randint(0, min(n, 40))] for n in (random.randint(1, 10 ** random.randint(1, 7)) for _ in count(60))]
    write("ln_binomial_coefficient", lambda n, k: mp.log(mp.binomial(n, k)) if n < 1e4 else mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1), counts)
    line = [[short(random.choice([-1, 1]) * log_uniform(1e-10, 6))] for _ in count(120)]
    write("erf", mp.erf, line)
    write("erfc", mp.erfc, [*line, *[[short(random.uniform(0, 26))] for _ in count(60)]])
    tail = [[short(random.uniform(-37, 9))] for _ in count(150)]
    write("standard_normal_cdf", normal_cdf, [*line, *tail])
    far = [[-log_uniform(30, 1e150)] for _ in count(40)] + [[short(random.uniform(9, 37))] for _ in count(20)]
    write("ln_standard_normal_cdf", ln_normal_cdf, [*line, *tail])
    write("ln_standard_normal_cdf", lambda x: ln_normal_cdf(x) if x > -1e4 else -x * x / 2 - mp.log(2 * mp.pi) / 2 - mp.log(-x) + mp.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6 + 105 / x**8 - 945 / x**10 + 10395 / x**12), far)
    write("standard_normal_quantile", normal_quantile, [*probabilities(60), *beside(0.5, 30)])
    logs = [[-log_uniform(1e-14, 700)] for _ in count(100)] + [[-log_uniform(600, 1e9)] for _ in count(40)]
    write("standard_normal_quantile_ln", normal_quantile_of_ln, [*logs, *beside(-mp.log(2), 30)])
    write("erf_inv", lambda y: normal_quantile((1 + y) / 2) / mp.sqrt(2), [[short(random.choice([-1, 1]) * random.random())] for _ in count(80)] + [[log_uniform(1e-30, 1)] for _ in count(40)] + [[1 - log_uniform(1e-15, 0.4)] for _ in count(30)])
    write("erfc_inv", lambda q: -normal_quantile(q / 2) / mp.sqrt(2), [*probabilities(40), *beside(1, 20)])
    write("gamma_p", gamma_p, gamma_points(450))
    write("gamma_q", gamma_q, gamma_points(450))
    with mp.workdps(80):
        rounded_sum = [9.181951483774803, 1.8722422379506594, 0.7909146517926732]
        write("beta_regularized", beta, [*beta_points(500), rounded_sum])
        write_inverse("inverse_beta_regularized", inverse_points(beta_points(160), beta, 0.999), beta_root)
    with mp.workdps(60):
        write_inverse("inverse_gamma_p", inverse_points(gamma_points(170), gamma_p, 0.999), gamma_root(1, gamma_p))
        write_inverse("inverse_gamma_q", inverse_points(gamma_points(170), gamma_q, 0.999), gamma_root(-1, gamma_q))
    write("bessel_ratio", bessel_ratio, ratio_points(250))
    directions = [[random.choice([2, 3, 4, 10, 50, 1000, 10000]), log_uniform(1e-11, 1e6)] for _ in count(120)]
    write_inverse("inverse_mean_resultant_length", inverse_points(directions, lambda d, k: bessel_ratio(d / 2 - 1, k), 1), resultant_root)
    write("mean_resultant_length_derivative", lambda d, k: 1 - (r := bessel_ratio(d / 2 - 1, k)) ** 2 - (d - 1) / k * r, directions)
    write("ln_bessel_i", ln_bessel, bessel_points(200))
    real = [[short(random.choice([-1, 1]) * log_uniform(1e-9, 700))] for _ in count(60)]
    write("log1p_exp", lambda x: mp.log1p(mp.exp(x)), real)
    write("logistic", lambda x: 1 / (1 + mp.exp(-x)), real)
    write("log1m_exp", lambda x: mp.log1p(-mp.exp(x)) if x < -1 else mp.log(-mp.expm1(x)), [[-log_uniform(1e-30, 600)] for _ in count(60)])


main()
