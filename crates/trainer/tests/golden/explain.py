"""Writes explain.json beside this file: class activation maps of the toy network by TensorFlow's GradientTape.

    pip install -r scripts/golden/requirements.txt
    python crates/trainer/tests/golden/explain.py

Weights and inputs follow the formula of scripts/golden/golden.py, so that none is stored. explain_kitchenware.json
holds those of a real network's likeliest classes:

    package=$(scripts/kitchenware.sh)
    images=$package/datasets/kitchenware-data/images
    python crates/trainer/tests/golden/explain.py --out crates/trainer/tests/golden/explain_kitchenware.json \\
        --model $package/trained_models/kitchenware_xception_model_val-acc_0.901.keras $images/0412.jpg $images/0192.jpg
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "scripts/golden"))
import golden  # noqa: E402  (sets TensorFlow's determinism before it loads)
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

TOY_STAGES = ["block2", "block4_pool", "block5_sepconv2_act", "block5_sepconv3_bn", "block6", "block7_sepconv2_act"]
REAL_STAGES = ["block4_sepconv2_bn", "block8_sepconv3_bn", "block13_sepconv2_bn", "block14_sepconv2_act"]
TOY_CASES = [((1, 150, 150, 3), [3]), ((3, 71, 71, 3), [9, 0, 4])]


def maps(forward, classes):
    """Both maps by a function that gives a stage's output and the logits."""
    with tf.GradientTape() as tape:
        output, logits = forward()
        chosen = tf.gather(logits, classes, batch_dims=1)
    gradient = tape.gradient(chosen, output)
    # Selvaraju et al. 2017, equations 1 and 2.
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    grad_cam = tf.nn.relu(tf.reduce_sum(weights * output, axis=-1))
    # Jiang et al. 2021, equations 4 and 5.
    layer_cam = tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradient) * output, axis=-1))
    return chosen, {"grad-cam": grad_cam, "layer-cam": layer_cam}


def case(stage, classes, forward):
    logits, found = maps(forward, classes)
    return [
        {
            "stage": stage,
            "method": method,
            "shape": list(values.shape[1:]),
            "logits": [golden.digits(value) for value in logits.numpy()],
            "maps": [[golden.digits(value) for value in picture.ravel()] for picture in values.numpy()],
        }
        for method, values in found.items()
    ]


def with_outputs(model, stage, logits, images):
    """A stage's output and the logits; the input is watched, so that every output is on the tape."""

    def forward():
        outputs = keras.Model(model.inputs, {"stage": stage, "logits": logits})(images, training=False)
        return outputs["stage"], outputs["logits"]

    return forward


def toy():
    cases = []
    for shape, classes in TOY_CASES:
        builder = golden.Builder(golden.TOY, *shape[1:3])
        model = builder.model()
        images = tf.constant(golden.picture(shape))
        found = []
        for stage in TOY_STAGES:
            forward = with_outputs(model, builder.stages[stage], builder.stages["predictions"], images)
            # Places are many in early stages: a file of KB keeps the small ones.
            found += [entry for entry in case(stage, classes, forward) if np.prod(entry["shape"]) <= 400]
        cases.append({"input": list(shape), "classes": classes, "maps": found})
    return cases


def real(path, pictures):
    """A fine-tuned Xception in one or two levels of nesting, whose outputs are logits."""
    model = keras.saving.load_model(path, compile=False)
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    base = nested[0] if nested else model
    height, width = model.inputs[0].shape[1:3]
    cases = []
    for picture in pictures:
        pixels = np.asarray(keras.utils.load_img(picture, target_size=(height, width)), np.float32)
        images = tf.constant(keras.applications.xception.preprocess_input(pixels[None]))
        found, chosen = [], int(np.argmax(model(images, training=False).numpy()))
        for stage in REAL_STAGES:
            tapped = keras.Model(base.inputs, [base.get_layer(stage).output, base.outputs[0]])

            def forward(tapped=tapped):
                output, features = tapped(images, training=False)
                if not nested:
                    return output, features
                x, after = features, False
                for layer in model.layers:
                    x = layer(x, training=False) if after else x
                    after = after or layer is base
                return output, x

            found += case(stage, [chosen], forward)
        cases.append({"picture": Path(picture).name, "classes": [chosen], "maps": found})
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("explain.json"))
    parser.add_argument("pictures", nargs="*")
    arguments = parser.parse_args()
    cases = real(arguments.model, arguments.pictures) if arguments.model else toy()
    arguments.out.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
