"""Seconds per EM iteration of a Gaussian mixture: elbo beside scikit-learn and oneDAL.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p elbo-benches
    OPENBLAS_CORETYPE=SkylakeX python benches/compare/mixture.py [--threads 1] [--cases g8 g32] [--rounds 3] [--folder target/compare]

All programs get the same data and the same start, no tolerance and no prior beyond what they force. A time counts only if the
objectives agree to seven digits. Times are slopes between two iteration counts, so that reading and setting up cancel; programs
take turns, and the least of the rounds counts. On one thread the figure is CPU time, else wall time. One JSON line about the
machine, one per program and case, then a table with the ratios. OPENBLAS_CORETYPE is for CPUs that OpenBLAS does not know.
"""
import argparse, json, os, pathlib, platform, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--cases", nargs="+", default=["g8", "g32", "g128", "g2", "d32"])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/compare"))
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)

import numpy as np

# rows, columns, components, covariance; low and high iteration counts are 2 and 12 throughout
CASES = {"g8": (1_000_000, 8, 8, "full"), "g32": (200_000, 32, 16, "full"), "g128": (50_000, 128, 16, "full"),
         "g2": (1_000_000, 2, 3, "full"), "d32": (500_000, 32, 64, "diag"), "small": (20_000, 4, 3, "full")}
LOW, HIGH = 2, 12


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
    """Seconds per iteration, and what the longer run returns."""
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    seconds, result = {}, None
    for iterations in (LOW, HIGH):
        begin = clock()
        result = run(iterations)
        seconds[iterations] = clock() - begin
    return (seconds[HIGH] - seconds[LOW]) / (HIGH - LOW), result


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


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"cpu": names[0], "cores": len(names), "system": platform.platform(), "python": platform.python_version(),
            "load": os.getloadavg()[0], "openblas": os.environ.get("OPENBLAS_CORETYPE"), "simd": os.environ.get("ELBO_SIMD")}


def compare(case):
    """Least seconds per iteration of each program; None where it is missing or its objective is another."""
    n, d, k, kind = CASES[case]
    rows, start, variance = data(case)
    for name, array in (("X", rows), ("means", start), ("var", variance)):
        array.astype("<f8").tofile(arguments.folder / f"{case}.{name}.f64")
    programs = {"elbo": None, "oneDAL": one_dal, "scikit-learn": scikit_learn}
    least, objectives = {name: float("inf") for name in programs}, {}
    for _ in range(arguments.rounds):
        for name, peer in programs.items():
            try:
                seconds, objectives[name] = ours(case, kind, n, d, k) if peer is None else peer(rows, start, variance, kind)
                least[name] = min(least[name], seconds)
            except ImportError as missing:
                print(json.dumps({"program": name, "case": case, "missing": str(missing)}), flush=True)
    for name, objective in objectives.items():
        agrees = bool(abs(objective - objectives["elbo"]) <= 1e-7 * abs(objectives["elbo"]))
        print(json.dumps({"program": name, "case": case, "threads": arguments.threads, "seconds": least[name] if agrees else None,
                          "mean_log_likelihood": objective, "agrees": agrees}), flush=True)
        if not agrees:
            least[name] = float("inf")
    return least


def main():
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(machine()), flush=True)
    results = {case: compare(case) for case in arguments.cases}
    print("| case | elbo, s | oneDAL, s | ratio | scikit-learn, s | ratio |\n|---|---|---|---|---|---|")
    for case, least in results.items():
        cells = [f"{least['elbo']:.4f}"]
        for name in ("oneDAL", "scikit-learn"):
            known = np.isfinite(least[name])
            cells += [f"{least[name]:.4f}", f"{least[name] / least['elbo']:.1f}"] if known else ["–", "–"]
        print(f"| {case} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
