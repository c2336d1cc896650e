"""Seconds per iteration of k-means, and to its end: elbo beside scikit-learn and faiss.

    pip install -r benches/compare/requirements.txt faiss-cpu
    cargo build --release -p elbo-benches
    python benches/compare/kmeans.py [--threads 1] [--cases k16 k128] [--storage f64 f32] [--end] [--folder target/compare]

All programs get the same data and the same centers, no tolerance, and every row. Inertias are compared first; only if they
agree to seven digits (four in single precision, in which peers sum) is anything timed. Times are slopes between two iteration
counts, so that reading and setting up cancel. With --end runs go on until no label changes, and labels are compared. On one
thread the figure is CPU time, else wall time. One JSON line per program and case.
"""
import argparse, json, os, pathlib, subprocess, sys, time, warnings

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--cases", nargs="+", default=["k16", "k128"])
parser.add_argument("--storage", nargs="+", default=["f64", "f32"])
parser.add_argument("--end", action="store_true")
parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/compare"))
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)

import numpy as np

CASES = {"k16": (1_000_000, 16, 64), "k128": (200_000, 128, 256), "small": (20_000, 4, 8)}
LOW, HIGH, REPEATS = 2, 6, 3
clock = time.process_time if arguments.threads == 1 else time.perf_counter


def data(case):
    """Round clusters of unequal size, the same on every machine; rows of them as centers."""
    n, d, k = CASES[case]
    rng = np.random.default_rng(sum(map(ord, case)))
    label = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    rows = 2.0 * rng.standard_normal((k, d))[label] + rng.standard_normal((n, d)) * rng.uniform(0.5, 1.5, (k, d))[label]
    return rows, rows[rng.choice(n, size=k, replace=False)].copy()


def slope(run):
    """Least seconds per iteration over the repeats, and the last result."""
    least = {LOW: np.inf, HIGH: np.inf}
    for _ in range(REPEATS):
        for iterations in (LOW, HIGH):
            begin = clock()
            result = run(iterations)
            least[iterations] = min(least[iterations], clock() - begin)
    return (least[HIGH] - least[LOW]) / (HIGH - LOW), result


def scikit_learn(rows, start, algorithm="lloyd"):
    from sklearn.cluster import KMeans

    def run(iterations):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return KMeans(len(start), init=start, n_init=1, max_iter=iterations, tol=0.0, algorithm=algorithm,
                          copy_x=False).fit(rows)

    if not arguments.end:
        seconds, model = slope(run)
        return {"seconds": seconds, "iterations": HIGH, "inertia": float(model.inertia_)}, None
    begin = clock()
    model = run(10_000)
    return {"seconds": clock() - begin, "iterations": int(model.n_iter_), "inertia": float(model.inertia_)}, model.labels_


def elkan(rows, start):
    return scikit_learn(rows, start, "elkan")


def faiss(rows, start):
    import faiss as library
    if rows.dtype != np.float32 or arguments.end:
        raise ImportError("faiss has single precision alone, and no end")
    library.omp_set_num_threads(arguments.threads)

    def run(iterations):
        model = library.Kmeans(rows.shape[1], len(start), niter=iterations, nredo=1, max_points_per_centroid=10**9,
                               min_points_per_centroid=1)
        model.train(rows, init_centroids=start)
        return model

    seconds, model = slope(run)
    # Its objectives are those before each step: another search gives that of the end.
    return {"seconds": seconds, "iterations": HIGH, "inertia": float(model.index.search(rows, 1)[0].sum(dtype=float))}, None


def ours(case, storage, n, d):
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release/kmeans-iteration"
    high = 0 if arguments.end else HIGH
    line = subprocess.run([program, arguments.folder, case, storage, "auto" if arguments.end else "all",
                           *map(str, (n, d, arguments.threads, LOW, high))], check=True, capture_output=True, text=True).stdout
    result = json.loads(line)
    labels = np.fromfile(arguments.folder / f"{case}.labels.u32", "<u4") if arguments.end else None
    result["seconds"] = result["cpu" if arguments.threads == 1 else "wall"]
    return {name: result[name] for name in ("seconds", "iterations", "inertia")}, labels


def main():
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for case in arguments.cases:
        n, d, k = CASES[case]
        rows, start = data(case)
        for name, array in (("X", rows), ("means", start)):
            array.astype("<f8").tofile(arguments.folder / f"{case}.{name}.f64")
        for storage in arguments.storage:
            kind = np.float32 if storage == "f32" else np.float64
            peers = [("scikit-learn", scikit_learn), ("faiss", faiss)] + [("scikit-learn elkan", elkan)] * arguments.end
            reference = None
            for name, peer in [("elbo", None), *peers]:
                try:
                    given = rows.astype(kind), start.astype(kind)
                    result, labels = ours(case, storage, n, d) if peer is None else peer(*given)
                except ImportError as missing:
                    print(json.dumps({"program": name, "case": case, "storage": storage, "missing": str(missing)}), flush=True)
                    continue
                reference = reference or (result, labels)
                tolerance = 1e-4 if storage == "f32" else 1e-7
                agrees = bool(abs(result["inertia"] / reference[0]["inertia"] - 1) <= tolerance)
                line = {"program": name, "case": case, "storage": storage, "threads": arguments.threads, **result,
                        "agrees": agrees}
                if labels is not None:
                    line["other_labels"] = int((labels != reference[1]).sum())
                if not agrees:
                    line["seconds"] = None
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
