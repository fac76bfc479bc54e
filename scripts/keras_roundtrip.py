#!/usr/bin/env python3
"""Shows that Keras computes with a file of ours what it computes with the original.

    pip install -r scripts/requirements-golden.txt
    converter model.keras again.keras
    python scripts/keras_roundtrip.py model.keras again.keras PICTURES/ --size 150

Both are loaded by `keras.models.load_model`. Prints the largest difference of their outputs on the folder's pictures, and
exits with 1 if a prediction differs.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original")
    parser.add_argument("again")
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=299)
    args = parser.parse_args()
    paths = sorted(path for path in args.pictures.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    load = lambda path: keras.utils.img_to_array(keras.utils.load_img(path, target_size=(args.size, args.size)))
    pictures = np.stack([load(path) / 127.5 - 1 for path in paths]).astype(np.float32)
    first, second = (
        keras.models.load_model(path, compile=False).predict(pictures, verbose=0) for path in (args.original, args.again)
    )
    same = int((first.argmax(1) == second.argmax(1)).sum())
    print(f"{same} of {len(paths)} predictions the same; largest difference {np.abs(first - second).max():.1e}")
    sys.exit(same != len(paths))


if __name__ == "__main__":
    main()
