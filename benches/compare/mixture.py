"""Seconds per EM iteration of a Gaussian mixture: elbo beside scikit-learn and oneDAL.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p elbo-benches
    python benches/compare/mixture.py [--threads 1] [--cases g8 g32] [--folder target/compare]

All programs get the same data and the same start, no tolerance and no prior beyond what they force. Objectives are compared
first; only if they agree to seven digits is anything timed. Times are slopes between two iteration counts, so that reading
and setting up cancel. On one thread the figure is CPU time, else wall time. One JSON line per program and case.
"""
import argparse, json, os, pathlib, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--cases", nargs="+", default=["g8", "g32"])
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/compare"))
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)

import numpy as np

# rows, columns, components, covariance; low and high iteration counts are 2 and 12 throughout
CASES = {"g8": (1_000_000, 8, 8, "full"), "g32": (200_000, 32, 16, "full"), "g2": (1_000_000, 2, 3, "full"),
         "d32": (500_000, 32, 64, "diag"), "small": (20_000, 4, 3, "full")}
LOW, HIGH, REPEATS = 2, 12, 3


def data(case):
    """Separated clusters with covariances of their own, the same on every machine."""
    n, d, k, kind = CASES[case]
    rng = np.random.default_rng(sum(map(ord, case)))
    label = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    centers = 2.0 * rng.standard_normal((k, d))
    rows = rng.standard_normal((n, d))
    for j in range(k):
        mine = label == j
        if kind == "full":
            mixing = rng.standard_normal((d, d)) / np.sqrt(d)
            rows[mine] = rows[mine] @ np.linalg.cholesky(mixing @ mixing.T + 0.25 * np.eye(d)).T
        else:
            rows[mine] *= rng.uniform(0.5, 1.5, size=d)
        rows[mine] += centers[j]
    start = rows[rng.choice(n, size=k, replace=False)].copy()
    return rows, start, rows.var(axis=0)


def slope(run):
    """Least seconds per iteration over the repeats, and the last objective."""
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    least = {LOW: np.inf, HIGH: np.inf}
    for _ in range(REPEATS):
        for iterations in (LOW, HIGH):
            begin = clock()
            objective = run(iterations)
            least[iterations] = min(least[iterations], clock() - begin)
    return (least[HIGH] - least[LOW]) / (HIGH - LOW), objective


def scikit_learn(rows, start, variance, kind):
    from sklearn.mixture import GaussianMixture
    k = len(start)
    precision = np.stack([np.diag(1 / variance)] * k) if kind == "full" else np.tile(1 / variance, (k, 1))

    def run(iterations):
        model = GaussianMixture(k, covariance_type=kind, tol=0.0, reg_covar=0.0, max_iter=iterations, n_init=1,
                                weights_init=np.full(k, 1 / k), means_init=start, precisions_init=precision)
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows)
        return model

    seconds, model = slope(run)
    return seconds, model.score(rows)


def one_dal(rows, start, variance, kind):
    from daal4py import em_gmm
    k, d = start.shape
    if kind == "full":
        covariances = [np.diag(variance) for _ in range(k)]
        method = "full"
    else:
        covariances = variance[None, :].repeat(k, axis=0)
        method = "diagonal"

    def run(iterations):
        algorithm = em_gmm(nComponents=k, maxIterations=iterations, accuracyThreshold=0.0, covarianceStorage=method)
        return algorithm.compute(rows, np.full((1, k), 1 / k), start, covariances)

    seconds, result = slope(run)
    return seconds, mean_log_likelihood(rows, result, kind)


def mean_log_likelihood(rows, result, kind):
    """Of the parameters returned, by a formula of our own: oneDAL reports the objective before its last M-step."""
    parts = []
    for weight, mean, covariance in zip(result.weights.ravel(), result.means, result.covariances):
        matrix = np.asarray(covariance) if kind == "full" else np.diag(covariance)
        factor = np.linalg.cholesky(matrix)
        z = np.linalg.solve(factor, (rows - mean).T)
        log_det = 2 * np.log(np.diag(factor)).sum()
        parts.append(np.log(weight) - 0.5 * ((z * z).sum(axis=0) + log_det + rows.shape[1] * np.log(2 * np.pi)))
    parts = np.array(parts)
    peak = parts.max(axis=0)
    return float((peak + np.log(np.exp(parts - peak).sum(axis=0))).mean())


def ours(case, kind, n, d, k):
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release/mixture-iteration"
    line = subprocess.run([program, arguments.folder, case, kind, *map(str, (n, d, k, arguments.threads, LOW, HIGH))],
                          check=True, capture_output=True, text=True).stdout
    result = json.loads(line)
    return result["cpu" if arguments.threads == 1 else "wall"], result["mean_log_likelihood"]


def main():
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for case in arguments.cases:
        n, d, k, kind = CASES[case]
        rows, start, variance = data(case)
        for name, array in (("X", rows), ("means", start), ("var", variance)):
            array.astype("<f8").tofile(arguments.folder / f"{case}.{name}.f64")
        reference = None
        for name, peer in (("elbo", None), ("oneDAL", one_dal), ("scikit-learn", scikit_learn)):
            try:
                seconds, objective = ours(case, kind, n, d, k) if peer is None else peer(rows, start, variance, kind)
            except ImportError as missing:
                print(json.dumps({"program": name, "case": case, "missing": str(missing)}), flush=True)
                continue
            reference = objective if reference is None else reference
            agrees = bool(abs(objective - reference) <= 1e-7 * abs(reference))
            print(json.dumps({"program": name, "case": case, "threads": arguments.threads, "seconds": seconds if agrees else None,
                              "mean_log_likelihood": objective, "agrees": agrees}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
