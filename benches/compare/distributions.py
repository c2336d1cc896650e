"""Log densities and fits of a million rows: elbo beside scipy.stats and closed forms in numpy.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p elbo-benches
    python benches/compare/distributions.py [--rows 1000000] [--families gamma poisson] [--folder target/compare]

All programs get the same data on one thread; times are processor seconds, medians. Mean log densities at the given parameters
must agree to nine digits, and the mean log-likelihood at our fit must not be below the peer's, before a time is printed. Where
numpy has a closed form for the fit the peer is that ("numpy"), else `scipy.stats.….fit` with the known location fixed ("scipy");
families that scipy only fits by general-purpose search on the counts, or not at all, have none. "fit" is the estimate alone, by
us one pass for the statistics and their maximum (null where a fit iterates); "fit_and_log_likelihood" is what `fit_single`
gives, by the peer its fit and one pass of its log density. One JSON line per family.
"""
import argparse, json, os, pathlib, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=1_000_000)
parser.add_argument("--families", nargs="*", default=[])
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/compare"))
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy import special, stats

D = 8


def correlated(d):
    i, j = np.indices((d, d))
    return 0.5 ** np.abs(i - j) * (1 + (i + j) / d)


def bernoulli_like(trials):
    """The share of successes, as a frozen distribution."""
    return lambda x: stats.binom(trials, x.mean() / trials)


def dirichlet_fit(x):
    """Minka's fixed point on the mean logarithms, to the tenth digit; scipy has no fit."""
    logs = np.log(x).mean(axis=0)
    alpha = np.ones(x.shape[1])
    while True:
        target = special.digamma(alpha.sum()) + logs
        step = np.where(target > -2.22, np.exp(target) + 0.5, -1 / (target - special.digamma(1)))
        for _ in range(8):
            step -= (special.digamma(step) - target) / special.polygamma(1, step)
        if np.abs(step - alpha).max() < 1e-10 * alpha.max():
            return stats.dirichlet(step)
        alpha = step


def inverse_gamma_fit(x):
    a, _, scale = stats.gamma.fit(1 / x, floc=0)
    return stats.invgamma(a, scale=1 / scale)


def von_mises_fit(x):
    kappa, mean, _ = stats.vonmises.fit(x, fscale=1)
    return stats.vonmises(kappa, mean)


# family: parameters for us, the same for scipy, who fits, and how
CASES = {
    "gaussian": ((1.0, 4.0), stats.norm(1, 2), "numpy", lambda x: stats.norm(x.mean(), x.std())),
    "laplace": ((1.0, 2.0), stats.laplace(1, 2), "scipy", lambda x: stats.laplace(*stats.laplace.fit(x))),
    "student_t": ((1.0, 2.0, 4.0), stats.t(4, 1, 2), "scipy", lambda x: stats.t(*stats.t.fit(x))),
    "uniform": ((-1.0, 3.0), stats.uniform(-1, 4), "numpy", lambda x: stats.uniform(x.min(), np.ptp(x))),
    "von_mises": ((0.5, 4.0), stats.vonmises(4, 0.5), "scipy", von_mises_fit),
    "log_normal": ((0.5, 1.44), stats.lognorm(1.2, scale=np.exp(0.5)), "scipy", lambda x: stats.lognorm(*stats.lognorm.fit(x, floc=0))),
    "gamma": ((2.5, 0.5), stats.gamma(2.5, scale=2), "scipy", lambda x: stats.gamma(*stats.gamma.fit(x, floc=0))),
    "inverse_gamma": ((3.5, 2.0), stats.invgamma(3.5, scale=2), "scipy", inverse_gamma_fit),
    "weibull": ((1.7, 2.0), stats.weibull_min(1.7, scale=2), "scipy", lambda x: stats.weibull_min(*stats.weibull_min.fit(x, floc=0))),
    "exponential": ((0.5,), stats.expon(scale=2), "numpy", lambda x: stats.expon(scale=x.mean())),
    "beta": ((2.5, 4.0), stats.beta(2.5, 4), "scipy", lambda x: stats.beta(*stats.beta.fit(x, floc=0, fscale=1))),
    "poisson": ((12.5,), stats.poisson(12.5), "numpy", lambda x: stats.poisson(x.mean())),
    "binomial": ((40, 0.3), stats.binom(40, 0.3), "numpy", bernoulli_like(40)),
    "negative_binomial": ((2.5, 6.0), stats.nbinom(2.5, 2.5 / 8.5), None, None),
    "geometric": ((0.2,), stats.geom(0.2, loc=-1), "numpy", lambda x: stats.geom(1 / (1 + x.mean()), loc=-1)),
    "beta_binomial": ((2.5, 4.0, 40), stats.betabinom(40, 2.5, 4), None, None),
    "bernoulli": ((0.3,), stats.bernoulli(0.3), "numpy", lambda x: stats.bernoulli(x.mean())),
    "multivariate_gaussian": ((*range(D), *correlated(D).ravel()), stats.multivariate_normal(np.arange(D), correlated(D)),
                              "numpy", lambda x: stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True))),
    "dirichlet": (tuple(0.5 + 0.7 * np.arange(D)), stats.dirichlet(0.5 + 0.7 * np.arange(D)), "numpy", dirichlet_fit),
    "multinomial": (tuple(np.arange(1, D + 1) / 36), stats.multinomial(20, np.arange(1, D + 1) / 36), "numpy",
                    lambda x: stats.multinomial(20, x.sum(axis=0) / x.sum())),
}


def log_density(peer, x):
    if isinstance(peer, type(stats.dirichlet(np.ones(2)))):
        return peer.logpdf(x.T)
    return peer.logpdf(x) if hasattr(peer, "logpdf") and not hasattr(getattr(peer, "dist", None), "_pmf") else peer.logpmf(x)


def median(work, repeats):
    """Median processor seconds over the repeats, fewer where one is slow, and the last result."""
    seconds = []
    while len(seconds) < repeats and sum(seconds) < 20:
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return float(np.median(seconds)), result


def ours(family, parameters):
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release/distributions"
    line = subprocess.run([program, arguments.folder, family, *map(repr, map(float, parameters))],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(line)


def main():
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for family in arguments.families or CASES:
        parameters, peer, who, fit = CASES[family]
        rows = peer.rvs(size=arguments.rows, random_state=np.random.default_rng(sum(map(ord, family))))
        x = np.ascontiguousarray(rows, dtype="<f8")
        if family == "dirichlet":  # shares that sum to one in doubles, as both programs ask for
            x = np.maximum(x, 1e-300)
            x /= x.sum(axis=1, keepdims=True)
        x.tofile(arguments.folder / f"{family}.x.f64")
        rows = rows if family in ("poisson", "binomial", "geometric", "bernoulli", "negative_binomial", "beta_binomial", "multinomial") else x
        mine = ours(family, parameters)
        seconds, density = median(lambda: log_density(peer, rows), 5)
        given = float(density.mean())
        line = {"family": family, "rows": arguments.rows, "agrees": bool(abs(given - mine["mean_given"]) <= 1e-9 * (1 + abs(given)))}
        line["log_density"] = {"elbo": mine["log_density"], "scipy": seconds} if line["agrees"] else [mine["mean_given"], given]
        line["fit"] = {"elbo": mine["closed"]}
        line["fit_and_log_likelihood"] = {"elbo": mine["fit"]}
        if fit is not None:
            seconds, fitted = median(lambda: fit(rows), 3)
            theirs = float(log_density(fitted, rows).mean())
            line["excess_log_likelihood"] = mine["mean_fitted"] - theirs
            line["not_below"] = bool(mine["mean_fitted"] >= theirs - 1e-10 * (1 + abs(theirs)))
            if line["not_below"]:
                line["fit"][who] = seconds
                line["fit_and_log_likelihood"][who] = seconds + line["log_density"]["scipy"] if line["agrees"] else None
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
