"""Baum-Welch and Viterbi against hmmlearn: same data, same start, same number of iterations, one thread.

    pip install numpy scipy scikit-learn hmmlearn==0.3.3
    cargo build --release -p elbo-benches --bin hmm-iteration
    python benches/compare/hmm.py FOLDER [a b c d e] [--smoke]

Draws five cases into FOLDER, once (170 MB; --smoke draws small ones): a categorical K=5 M=20 T=10^6, b diagonal Gaussian K=10 D=8, 1000
sequences of 1000, c diagonal K=50 D=16, 100 of 5000, d categorical K=100 M=1000 T=10^5, e full K=5 D=10 T=5*10^5. The programs take turns;
log-likelihoods at the start and after the iterations must agree before a time is printed. Seconds are processor seconds.
"""
import json, os, subprocess, sys, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
from hmmlearn import hmm

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
OURS = os.path.join(ROOT, "target/release/hmm-iteration")
# kind, K, M or D, sequences, length, chance to stay
CASES = {
    "a": ("categorical", 5, 20, 1, 1_000_000, 0.8),
    "b": ("gaussian_diag", 10, 8, 1000, 1000, 0.8),
    "c": ("gaussian_diag", 50, 16, 100, 5000, 0.7),
    "d": ("categorical", 100, 1000, 1, 100_000, 0.5),
    "e": ("gaussian_full", 5, 10, 1, 500_000, 0.8),
}


def rows(rng, k, m, stay=0.0):
    table = rng.dirichlet(np.ones(m), k) * (1 - stay)
    return table + stay * np.eye(k) if stay else table


def path(rng, transition, length):
    steps, u, state = np.cumsum(transition, 1), rng.random(length), 0
    states = np.empty(length, np.int64)
    for t in range(length):
        state = min(int(np.searchsorted(steps[state], u[t], side="right")), len(steps) - 1)
        states[t] = state
    return states


def draw(folder, kind, k, width, sequences, length, stay, seed):
    """Data and the start that both programs are given, in the layout that hmm-iteration reads."""
    rng = np.random.default_rng(seed)
    os.makedirs(folder + "/init", exist_ok=True)
    a = rows(rng, k, k, stay)
    states = np.concatenate([path(rng, a, length) for _ in range(sequences)])
    init = {"pi": np.full(k, 1 / k), "A": 0.5 * a + 0.5 * rows(rng, k, k)}
    if kind == "categorical":
        b = rng.dirichlet(np.full(width, 0.3), k)
        x = np.array([np.searchsorted(c, u) for c, u in zip(np.cumsum(b, 1)[states], rng.random(len(states)))])
        np.minimum(x, width - 1).astype("<u4").tofile(folder + "/X.bin")
        init["B"] = 0.5 * b + 0.5 * rng.dirichlet(np.ones(width), k)
    else:
        mu, noise = rng.normal(0, 1.5, (k, width)), rng.normal(size=(len(states), width))
        (mu[states] + noise).astype("<f8").tofile(folder + "/X.bin")
        init["mu"] = mu + rng.normal(0, 0.3, mu.shape)
        one = np.full(width, 1.5)
        init["cov"] = np.stack([one if kind.endswith("diag") else np.diag(one)] * k)
    np.full(sequences, length, "<i8").tofile(folder + "/lengths.bin")
    for name, value in init.items():
        np.asarray(value, "<f8").tofile(f"{folder}/init/{name}.f64")
    with open(folder + "/meta.json", "w") as file:
        json.dump({"kind": kind, "K": k}, file)


def theirs(folder, kind, k, width, iterations):
    def init(name, *shape):
        return np.fromfile(f"{folder}/init/{name}.f64").reshape(shape)

    lengths = np.fromfile(folder + "/lengths.bin", "<i8")
    common = dict(init_params="", tol=-np.inf, n_iter=iterations, implementation="scaling")
    if kind == "categorical":
        x = np.fromfile(folder + "/X.bin", "<u4").astype(np.int64).reshape(-1, 1)
        model = hmm.CategoricalHMM(k, n_features=width, **common)
        model.emissionprob_ = init("B", k, width)
    else:
        x = np.fromfile(folder + "/X.bin", "<f8").reshape(-1, width)
        diagonal = kind.endswith("diag")
        model = hmm.GaussianHMM(
            k, covariance_type="diag" if diagonal else "full", covars_prior=0, covars_weight=0, means_weight=0,
            min_covar=0, **common)
        model.n_features = width
        model.means_ = init("mu", k, width)
        model.covars_ = init("cov", k, width) if diagonal else init("cov", k, width, width)
    model.startprob_, model.transmat_ = init("pi", k), init("A", k, k)
    begun = time.process_time()
    log_probability, _ = model.decode(x, lengths)
    viterbi = time.process_time() - begun
    begun = time.process_time()
    model.fit(x, lengths)
    seconds = (time.process_time() - begun) / iterations
    return seconds, viterbi, log_probability, list(model.monitor_.history)


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    smoke, iterations = "--smoke" in sys.argv, 4
    print("| case | hmmlearn | elbo | ratio | Viterbi: hmmlearn | elbo | ratio |\n|---|---|---|---|---|---|---|")
    for seed, case in enumerate(words[1:] or CASES):
        kind, k, width, sequences, length, stay = CASES[case]
        length = max(length // 100, 50) if smoke else length
        folder = os.path.join(words[0], case + ("-smoke" if smoke else ""))
        if not os.path.exists(folder + "/meta.json"):
            draw(folder, kind, k, width, sequences, length, stay, seed)
        peer, decode, log_probability, history = theirs(folder, kind, k, width, iterations)
        line = subprocess.run([OURS, folder, "1", "1", str(iterations)], check=True, capture_output=True, text=True)
        ours = json.loads(line.stdout)
        for a, b in ((history[0], ours["loglik"][0]), (log_probability, ours["viterbi_logp"])):
            assert abs(a - b) < 1e-7 * abs(a), f"{case}: {a} and {b} do not agree"
        em, viterbi = ours["em_s_per_iter"], ours["viterbi_s"]
        print(f"| {case} | {peer:.3f} | {em:.4f} | {peer / em:.1f} | {decode:.3f} | {viterbi:.4f} | {decode / viterbi:.1f} |",
              flush=True)


main()
