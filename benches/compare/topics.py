"""Seconds to a held-out perplexity: elbo's topics beside scikit-learn, gensim and tomotopy.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p elbo-benches --bin topics
    python benches/compare/topics.py FOLDER [--k 20] [--programs elbo-cvb0 elbo-map tomotopy ...] [--seconds 10]

FOLDER holds train.ldac, held_obs.ldac, held_tgt.ldac and vocab.txt. Every program learns from the same counts on one thread, and
its topics are judged by one evaluator, document completion, whose shares are a unique maximum (see the book): here in numpy, for
elbo as well. Times are CPU seconds of learning. One JSON line per program: seconds and perplexity along its path.
"""
import argparse, json, os, pathlib, subprocess, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--k", type=int, default=20)
parser.add_argument("--seconds", type=float, default=10.0)
parser.add_argument("--passes", type=int, default=100, help="of elbo")
parser.add_argument("--programs", nargs="+",
                    default=["elbo-cvb0", "elbo-map", "elbo-vb", "scikit-learn", "gensim", "tomotopy"])
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import scipy.sparse as sp

ALPHA, ETA = 0.1, 0.05
MARKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500)


def read(name, words):
    offsets, places, counts = [0], [], []
    for line in open(arguments.folder / name):
        for pair in line.split()[1:]:
            place, count = pair.split(":")
            places.append(int(place))
            counts.append(float(count))
        offsets.append(len(places))
    return sp.csr_matrix((counts, places, offsets), shape=(len(offsets) - 1, words))


def perplexity(topics, alpha):
    """Of document completion; topics are k × words, alpha a number or one for each topic."""
    topics = np.maximum(topics / topics.sum(1, keepdims=True), 1e-12)
    topics = np.ascontiguousarray((topics / topics.sum(1, keepdims=True)).T)
    alpha = np.broadcast_to(alpha, topics.shape[1:])
    total = 0.0
    for d in range(OBSERVED.shape[0]):
        seen, unseen = OBSERVED[d], TARGET[d]
        rows, gamma = topics[seen.indices], alpha + seen.sum() / len(alpha)
        for _ in range(500):
            theta = gamma / gamma.sum()
            new = alpha + theta * (rows.T @ (seen.data / (rows @ theta)))
            moved = np.abs(new - gamma).sum() / new.sum()
            gamma = new
            if moved < 1e-7:
                break
        total += unseen.data @ np.log(topics[unseen.indices] @ (gamma / gamma.sum()))
    return float(np.exp(-total / TARGET.sum()))


def elbo(method):
    binary = os.environ.get("ELBO_TOPICS", "target/release/topics")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "topics.f32"
        command = [binary, arguments.folder, arguments.k, method, arguments.passes]
        command += [0.6 if method == "vb" else 0.1 if arguments.k < 50 else 2.0 / arguments.k, ETA, 0, file]
        lines = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
        topics = np.fromfile(file, np.float32).reshape(-1, arguments.k).T.astype(float)
    path = [json.loads(line) for line in lines.splitlines()]
    # Both evaluators must say the same before anything else is believed; α is that of the fit.
    ours, own = path[-1]["perplexity"], perplexity(topics, float(command[5]))
    assert abs(ours / own - 1.0) < 1e-3, (ours, own)
    return [(point["seconds"], point["perplexity"]) for point in path]


def passes_of(step, topics, alpha=lambda: ALPHA):
    """Steps of a peer until its time is up, its topics judged at the marks."""
    path, spent, done = [], 0.0, 0
    while spent < arguments.seconds:
        begin = time.process_time()
        step()
        spent, done = spent + time.process_time() - begin, done + 1
        if done in MARKS or spent >= arguments.seconds:
            path.append((spent, perplexity(topics(), alpha())))
    return path


def scikit_learn():
    from sklearn.decomposition import LatentDirichletAllocation
    model = LatentDirichletAllocation(n_components=arguments.k, doc_topic_prior=ALPHA, topic_word_prior=ETA,
                                      learning_method="batch", random_state=0)
    model._init_latent_vars(TRAIN.shape[1], TRAIN.dtype)
    step = lambda: model._em_step(TRAIN, total_samples=TRAIN.shape[0], batch_update=True)
    return passes_of(step, lambda: model.components_)


def gensim():
    from gensim.matutils import Sparse2Corpus
    from gensim.models import LdaModel
    corpus = [[(int(w), int(n)) for w, n in document] for document in Sparse2Corpus(TRAIN.T.tocsc())]
    model = LdaModel(num_topics=arguments.k, alpha=[ALPHA] * arguments.k, eta=ETA, random_state=0,
                     id2word={i: str(i) for i in range(TRAIN.shape[1])})
    return passes_of(lambda: model.update(corpus), model.get_topics)


def tomotopy():
    import tomotopy
    model = tomotopy.LDAModel(k=arguments.k, alpha=ALPHA, eta=ETA, seed=1)
    random = np.random.default_rng(0)
    for d in range(TRAIN.shape[0]):
        words = np.repeat(TRAIN[d].indices, TRAIN[d].data.astype(int))
        random.shuffle(words)
        model.add_doc([str(word) for word in words])
    model.train(0, workers=1)
    places = np.array([int(word) for word in model.used_vocabs])

    def topics():
        table = np.full((arguments.k, TRAIN.shape[1]), 1e-9)
        for topic in range(arguments.k):
            table[topic, places] = model.get_topic_word_dist(topic)
        return table

    return passes_of(lambda: model.train(1, workers=1), topics, lambda: np.array(model.alpha))


WORDS = sum(1 for _ in open(arguments.folder / "vocab.txt"))
TRAIN, OBSERVED, TARGET = (read(f"{name}.ldac", WORDS) for name in ("train", "held_obs", "held_tgt"))
PROGRAMS = {"elbo-cvb0": lambda: elbo("cvb0"), "elbo-map": lambda: elbo("map"), "elbo-vb": lambda: elbo("vb"),
            "scikit-learn": scikit_learn, "gensim": gensim, "tomotopy": tomotopy}
for program in arguments.programs:
    path = PROGRAMS[program]()
    print(json.dumps({"program": program, "k": arguments.k, "path": [(round(s, 3), round(p, 1)) for s, p in path]}), flush=True)
