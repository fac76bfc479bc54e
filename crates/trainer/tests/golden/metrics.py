"""Writes metrics.json beside this file: random predictions and what scikit-learn says about them.

    pip install scikit-learn
    python crates/trainer/tests/golden/metrics.py

Written with scikit-learn 1.9.1 and NumPy 2.
"""

import json
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.calibration import calibration_curve

BINS = 15


def calibration(right, confidence):
    """Guo et al. 2017 over scikit-learn's bins."""
    accuracy, mean = calibration_curve(right, confidence, n_bins=BINS, strategy="uniform")
    edges = np.linspace(0.0, 1.0, BINS + 1)
    places = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(places, minlength=BINS)
    filled = counts[counts > 0]
    return {
        "counts": counts.tolist(),
        "accuracy": accuracy.tolist(),
        "confidence": mean.tolist(),
        "ece": float(np.sum(filled / len(confidence) * np.abs(accuracy - mean))),
    }


def averages(truth, predicted, **options):
    def score(average):
        values = metrics.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0, **options
        )
        return dict(zip(("precision", "recall", "f1"), map(float, values[:3])))

    return {average: score(average) for average in ("macro", "weighted", "micro")}


def per_class(truth, predicted, **options):
    values = metrics.precision_recall_fscore_support(truth, predicted, average=None, zero_division=0, **options)
    return dict(zip(("precision", "recall", "f1", "support"), (column.tolist() for column in values)))


def single(random):
    """Eight classes: the seventh never occurs but is predicted, the eighth neither occurs nor is predicted."""
    pictures, classes = 60, 8
    truth = random.integers(0, 6, pictures)
    logits = random.normal(size=(pictures, classes))
    logits[np.arange(pictures), truth] += 1.0
    logits[:, 7] -= 20.0
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    assert 6 in predicted and 7 not in predicted
    exact = probabilities.astype(np.float64)
    labels = np.arange(classes)
    return {
        "classes": classes,
        "truths": [[int(label)] for label in truth],
        "probabilities": [float(value) for value in exact.ravel()],
        "top_1": float(metrics.accuracy_score(truth, predicted)),
        "top_5": float(metrics.top_k_accuracy_score(truth, exact, k=5, labels=labels)),
        "loss": float(metrics.log_loss(truth, exact / exact.sum(axis=1, keepdims=True), labels=labels)),
        "per_class": per_class(truth, predicted, labels=labels),
        # Without labels: over the classes that occur or are predicted.
        "averages": averages(truth, predicted),
        "confusion": metrics.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "calibration": calibration(predicted == truth, exact.max(axis=1)),
    }


def multi(random):
    """Four classes, the last of which never occurs; scores rounded, so that some are equal."""
    pictures, classes = 40, 4
    truth = random.random((pictures, classes)) < 0.4
    truth[:, 3] = False
    probabilities = np.clip(np.round(random.random((pictures, classes)) * 0.7 + truth * 0.25, 2), 0.01, 0.99)
    probabilities = probabilities.astype(np.float32)
    predicted = probabilities > 0.5
    exact = probabilities.astype(np.float64)
    areas = [float(metrics.average_precision_score(truth[:, k], exact[:, k])) for k in range(3)]
    losses = [metrics.log_loss(truth[:, k], exact[:, k], labels=[False, True]) for k in range(classes)]
    return {
        "classes": classes,
        "truths": [np.flatnonzero(row).tolist() for row in truth],
        "probabilities": [float(value) for value in exact.ravel()],
        "subset_accuracy": float(metrics.accuracy_score(truth, predicted)),
        "loss": float(np.mean(losses)),
        "per_class": per_class(truth, predicted),
        "averages": averages(truth, predicted),
        "average_precision": [*areas, None],
        "mean_average_precision": float(np.mean(areas)),
        "calibration": calibration(truth.ravel(), exact.ravel()),
    }


def main():
    random = np.random.default_rng(20161007)
    golden = {"single": single(random), "multi": multi(random)}
    Path(__file__).with_name("metrics.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
