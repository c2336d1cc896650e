"""Factor analysis, principal and independent components: elbo beside scikit-learn, picard and plain numpy.

    pip install -r benches/compare/requirements.txt scikit-learn python-picard
    cargo build --release -p elbo-benches
    python benches/compare/factor.py [--cases fa100 fa1000 ica missing] [--folder target/compare]

All programs get the same rows, one thread and no more. Objectives are compared first: log-likelihoods must agree to seven digits,
or elbo's be the higher one, and Amari's distance of sources must be no worse. Then CPU seconds of whole fits, the least of
five, programs in turn. One JSON line per program and case.
"""
import argparse, json, os, pathlib, subprocess, time

parser = argparse.ArgumentParser()
parser.add_argument("--cases", nargs="+", default=["fa100", "fa1000", "ica", "missing"])
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/compare"))
parser.add_argument("--program", default="target/release/factor")
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk

REPEATS = 5
# rows, columns, factors
CASES = {"fa100": (100_000, 100, 10), "fa1000": (10_000, 1000, 20), "ica": (100_000, 20, 20), "missing": (100_000, 20, 4)}


def data(case):
    """Rows, the same on every machine, and the mixing matrix of independent components."""
    n, d, q = CASES[case]
    rng = np.random.default_rng(sum(map(ord, case)))
    if case == "ica":
        mixing = rng.standard_normal((d, d))
        return rng.laplace(size=(n, d)) / np.sqrt(2.0) @ mixing.T, mixing
    own, loadings = rng.uniform(0.2, 2.0, d), rng.standard_normal((d, q))
    rows = rng.standard_normal((n, q)) @ loadings.T + rng.standard_normal((n, d)) * np.sqrt(own)
    if case == "missing":
        rows[rng.random((n, d)) < 0.2] = np.nan
    return rows, None


def least(run):
    """Least CPU seconds of the repeats, and what the last one returned."""
    best = np.inf
    for _ in range(REPEATS):
        begin = time.process_time()
        out = run()
        best = min(best, time.process_time() - begin)
    return best, out


def elbo(model, path, d, q):
    line = subprocess.run([arguments.program, model, path, str(d), str(q)], capture_output=True, text=True, check=True)
    return json.loads(line.stdout)


def covariance(rows):
    s = dsyrk(1.0 / len(rows), rows.T, lower=1)
    s = np.tril(s) + np.tril(s, -1).T
    mean = rows.mean(0)
    return s - np.outer(mean, mean)


def fixed_point(rows, q):
    """scikit-learn's iteration for factor analysis, on the covariance instead of an SVD of the rows."""
    s, d = covariance(rows), rows.shape[1]
    own, before = np.ones(d), -np.inf
    while True:
        root = np.sqrt(own)
        scaled = s / np.outer(root, root)
        values, vectors = eigh(scaled, subset_by_index=[d - q, d - 1])
        f = np.log(own).sum() + (np.log(values) + 1).sum() + np.trace(scaled) - values.sum()
        objective = -0.5 * len(rows) * (d * np.log(2 * np.pi) + f)
        if objective - before < 1e-2:
            return objective
        before = objective
        own = np.maximum(np.diag(s) - ((np.sqrt(np.maximum(values - 1, 0)) * vectors) ** 2).sum(1) * own, 1e-12)


def closed_form(rows, q):
    """Probabilistic PCA by the eigenvalues of the covariance."""
    s, d = covariance(rows), rows.shape[1]
    values = eigh(s, eigvals_only=False, subset_by_index=[d - q, d - 1])[0]
    noise = (np.trace(s) - values.sum()) / (d - q)
    return -0.5 * len(rows) * (d * np.log(2 * np.pi) + np.log(values).sum() + (d - q) * np.log(noise) + d)


def amari(unmixing, mixing):
    p = np.abs(unmixing @ mixing)
    rows, columns = p / p.max(1, keepdims=True), p / p.max(0, keepdims=True)
    return ((rows.sum(1) - 1).mean() + (columns.sum(0) - 1).mean()) / 2


def tell(case, program, seconds, objective, **more):
    print(json.dumps(dict(case=case, program=program, cpu=round(seconds, 4), objective=objective, **more)), flush=True)


def same(ours, theirs):
    if ours < theirs - 1e-7 * abs(theirs):
        raise SystemExit(f"objectives differ: {ours} and {theirs}")


def factors(case, path, rows, q):
    d = rows.shape[1]
    for model, peer, name in (("fa", fixed_point, "numpy, scikit-learn's iteration"), ("ppca", closed_form, "numpy")):
        ours = elbo(model, path, d, q)
        seconds, objective = least(lambda: peer(rows, q))
        same(ours["log_likelihood"], objective)
        tell(case, f"elbo {model}", ours["cpu"], ours["log_likelihood"], reading=ours["reading"])
        tell(case, f"{name} {model}", seconds, objective)


def independent(path, rows, mixing):
    from picard import picard
    from sklearn.decomposition import FastICA
    d = rows.shape[1]
    ours = elbo("ica", path, d, d)
    tell("ica", "elbo", ours["cpu"], amari(np.reshape(ours["unmixing"], (d, d)), mixing), iterations=ours["iterations"])
    fast = lambda: FastICA(whiten="unit-variance", whiten_solver="eigh", tol=1e-4, max_iter=500, random_state=0).fit(rows)
    seconds, fitted = least(fast)
    tell("ica", "scikit-learn FastICA", seconds, amari(fitted.components_, mixing))
    plain = lambda: picard(rows.T, fun="tanh", ortho=False, tol=1e-7, max_iter=500, random_state=0, whiten=True)
    seconds, (whitening, turn, _) = least(plain)
    tell("ica", "picard", seconds, amari(turn @ whitening, mixing))


arguments.folder.mkdir(parents=True, exist_ok=True)
for case in arguments.cases:
    n, d, q = CASES[case]
    rows, mixing = data(case)
    path = arguments.folder / f"{case}.f64"
    rows.astype("<f8").tofile(path)
    if case == "ica":
        independent(path, rows, mixing)
    elif case == "missing":
        ours = elbo("missing", path, d, q)
        tell(case, "elbo, one iteration", ours["each"], ours["log_likelihood"])
    else:
        factors(case, path, rows, q)
