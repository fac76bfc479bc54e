#!/usr/bin/env python3
"""Shows that Keras gives the same outputs for our file as for the original, bit for bit.

    pip install -r scripts/golden/requirements.txt
    converter model.keras again.keras
    python scripts/peers/keras_roundtrip.py model.keras again.keras PICTURES/ --size 150

Both are loaded by `keras.models.load_model` and predict the folder's pictures in one process. Equal weights in equal
layers add in the same order, so the bound on the largest difference is 0; a model in another arrangement (`--bound
1e-6`) may add in another. A file of ours ends in logits, so a softmax at the original's end is left out. Exits with 1
if the difference is larger than the bound, or a prediction differs.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def load(path):
    model = keras.models.load_model(path, compile=False)
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original")
    parser.add_argument("again")
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--bound", type=float, default=0.0, help="largest difference that is allowed [default: 0]")
    args = parser.parse_args()
    paths = sorted(path for path in args.pictures.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        parser.error(f"{args.pictures} has no pictures")
    read = lambda path: keras.utils.img_to_array(keras.utils.load_img(path, target_size=(args.size, args.size)))
    pictures = np.stack([read(path) / 127.5 - 1 for path in paths]).astype(np.float32)
    first, second = (load(path).predict(pictures, verbose=0) for path in (args.original, args.again))
    same = int((first.argmax(1) == second.argmax(1)).sum())
    difference = float(np.abs(first - second).max())
    print(f"{same} of {len(paths)} predictions the same; largest difference {difference:.1e}, bound {args.bound:.1e}")
    # A NaN is no agreement.
    sys.exit(not (same == len(paths) and difference <= args.bound))


if __name__ == "__main__":
    main()
