"""Which layer of a frozen Xception a new classifier should read: a linear probe on the mean of each of its last layers.

    python scripts/peers/probe_layers.py TABLE --model kitchenware_xception_model_val-acc_0.901.keras

TABLE is a CSV file with the columns path and label (scripts/stamps.sh, scripts/clipart.sh). Keras computes the layers
once; then a classifier is trained as the recipe `fine-tune` trains its first phase (AdamW, 40 epochs, zeros at first,
label smoothing, the epoch of the lowest validation loss), on --splits random splits: 55 % of each class for training,
15 % for validation, 30 % for the test. `train_quality.sh` reports seeds 1 to 3; these start at 11. Prints each layer's
mean accuracy, and its difference from the last layer with the standard error over the splits.
Needs Keras 3 with TensorFlow, NumPy and Pillow.
"""

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image
from train_keras import backbone_of
from white_picture import read

LAYERS = ["block14_sepconv2_act", "block14_sepconv1_act", "block13", "block12"]
FIRST_SEED = 11


def layers_of(backbone):
    """The outputs of `LAYERS`; a block's output is its sum, the last of which is block 13's."""
    sums = [layer.output for layer in backbone.layers if isinstance(layer, keras.layers.Add)]
    named = {"block13": sums[-1], "block12": sums[-2]}
    return [named[name] if name in named else backbone.get_layer(name).output for name in LAYERS]


def split(labels, seed):
    """Rows for training, validation and test."""
    random = np.random.default_rng(seed)
    parts = [], [], []
    for label in np.unique(labels):
        rows = random.permutation(np.where(labels == label)[0])
        test, validation = round(0.3 * len(rows)), round(0.15 * len(rows))
        for part, chosen in zip(parts, np.split(rows, [len(rows) - test - validation, len(rows) - test])):
            part.extend(chosen)
    return map(np.array, parts)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def accuracy(features, labels, seed, epochs=40, rate=1e-3, decay=0.05, smoothing=0.1, batch=32, patience=10):
    """The part of the test pictures that a classifier of these features gets right."""
    train, validation, test = split(labels, seed)
    random = np.random.default_rng(seed)
    features = np.concatenate([features, np.ones((len(features), 1))], 1)
    classes = labels.max() + 1
    targets = np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes
    weights, mean, square = np.zeros((3, features.shape[1], classes))
    steps, step = -(-len(train) // batch) * epochs, 0
    best, found, stale = np.inf, weights, 0
    for _ in range(epochs):
        order = random.permutation(train)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            gradient = features[rows].T @ (softmax(features[rows] @ weights) - targets[rows]) / len(rows)
            now, step = rate * (1 + np.cos(np.pi * step / steps)) / 2, step + 1
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            kept = np.where(np.arange(len(weights)) < len(weights) - 1, 1 - now * decay, 1)
            spread = np.sqrt(square / (1 - 0.999**step)) + 1e-8
            weights = kept[:, None] * weights - now * (mean / (1 - 0.9**step)) / spread
        right = softmax(features[validation] @ weights)[np.arange(len(validation)), labels[validation]]
        loss, stale = -np.log(right).mean(), stale + 1
        if loss < best:
            best, found, stale = loss, weights, 0
        if stale >= patience:
            break
    return ((features[test] @ found).argmax(1) == labels[test]).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=20)
    arguments = parser.parse_args()

    backbone = backbone_of(arguments.model)
    size = backbone.inputs[0].shape[1]
    pictures, names = [], []
    for row in csv.DictReader(arguments.table.open()):
        try:
            pictures.append(read(arguments.table.parent / row["path"], size))
        except Image.DecompressionBombError as error:
            print(f"left out: {row['path']}: {error}")
            continue
        names.append(row["label"])
    _, labels = np.unique(names, return_inverse=True)
    pools = [keras.layers.GlobalAveragePooling2D()(output) for output in layers_of(backbone)]
    network = keras.Model(backbone.inputs, pools)
    parts = []
    for start in range(0, len(pictures), 32):
        batch = np.stack([np.asarray(picture, "float32") for picture in pictures[start : start + 32]]) / 127.5 - 1
        parts.append([np.asarray(output) for output in network(batch)])
    print(f"{len(pictures)} pictures of {size} x {size}, {labels.max() + 1} classes, {arguments.splits} splits")
    last = None
    for name, *features in zip(LAYERS, *parts):
        features = np.concatenate(features)
        seeds = range(FIRST_SEED, FIRST_SEED + arguments.splits)
        found = 100 * np.array([accuracy(features, labels, seed) for seed in seeds])
        last = found if last is None else last
        difference = found - last
        error = difference.std(ddof=1) / len(found) ** 0.5
        print(f"{name:22} {found.mean():5.1f} %  {difference.mean():+5.1f} +- {error:.1f}", flush=True)


if __name__ == "__main__":
    main()
