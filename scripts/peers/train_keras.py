"""Fine-tunes Xception as Keras's transfer-learning guide does, to compare `xception train` with.

https://keras.io/guides/transfer_learning/: random flips and rotations; the frozen backbone (`training=False`) under
global average pooling, dropout 0.2 and a new last layer, Adam at its default rate for 10 epochs; then everything at
1e-5 for 5, which is how often `xception train` shows each picture to the whole network by default. (The guide itself
trains for 2 and 1.)

    python scripts/peers/train_keras.py RUN --backbone kitchenware_xception_model_val-acc_0.901.keras

RUN is a run's folder of `xception train`: its data.csv holds the pictures and the split, its run.toml the size and the
seed. Pictures are resized with Pillow's bilinear filter, as the preset `pil-bilinear`; transparency is laid on white.
Needs Keras 3 with TensorFlow, NumPy and Pillow. Prints one line of JSON.
"""

import argparse
import csv
import json
import os
import time
import tomllib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from white_picture import read


def backbone_of(path):
    """The Xception inside a fine-tuned Keras model, or the model itself without its head."""
    model = keras.models.load_model(path, compile=False)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            return keras.Model(layer.inputs, layer.outputs[0])
    return keras.Model(model.input, model.get_layer("block14_sepconv2_act").output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--head-epochs", type=int, default=10)
    parser.add_argument("--all-epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()

    run = tomllib.loads((arguments.run / "run.toml").read_text())
    size, seed = run["model"]["input"]["height"], run["seed"]
    keras.utils.set_random_seed(seed)

    rows = list(csv.DictReader((arguments.run / "data.csv").open()))
    classes = sorted({row["label"] for row in rows})
    splits = {}
    for split in ("train", "val", "test"):
        chosen = [row for row in rows if row["split"] == split]
        pictures = np.stack([np.asarray(read(row["path"], size), "float32") for row in chosen]) / 127.5 - 1
        splits[split] = pictures, np.array([classes.index(row["label"]) for row in chosen])

    start, used = time.time(), time.process_time()
    backbone = backbone_of(arguments.backbone)
    backbone.trainable = False
    inputs = keras.Input((size, size, 3))
    x = keras.layers.RandomFlip("horizontal", seed=seed)(inputs)
    x = keras.layers.RandomRotation(0.1, seed=seed)(x)
    x = backbone(x, training=False)
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2, seed=seed)(x)
    model = keras.Model(inputs, keras.layers.Dense(len(classes))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit(rate, epochs):
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(
            *splits["train"],
            validation_data=splits["val"],
            batch_size=arguments.batch_size,
            epochs=epochs,
            verbose=2,
        )

    fit(1e-3, arguments.head_epochs)
    backbone.trainable = True
    fit(1e-5, arguments.all_epochs)
    seconds, processor = time.time() - start, time.process_time() - used
    pictures, truths = splits["test"]
    accuracy = float((model.predict(pictures, verbose=0).argmax(1) == truths).mean())
    result = {"seed": seed, "test_accuracy": accuracy, "pictures": len(truths), "seconds": round(seconds)}
    print(json.dumps({**result, "processor_seconds": round(processor)}))


if __name__ == "__main__":
    main()
