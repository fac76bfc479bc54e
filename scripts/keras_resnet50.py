#!/usr/bin/env python3
"""Writes ResNet50 of real size in every layout that Keras 3 has, with golden.py's weights.

    pip install -r scripts/requirements-golden.txt
    python scripts/keras_resnet50.py FOLDER

    resnet50.keras, resnet50.weights.h5     Keras 3's own
    resnet50.h5                             a legacy whole model
    resnet50_weights_tf_dim_ordering_tf_kernels.h5
                                            legacy weights alone, as the official file
    resnet50_notop..., ..._notop.h5         the same without pooling and classifier

The weights follow golden.py's formula and the last layer has no softmax: what the files with a top compute for the input
`input/1x224x224x3` stands in crates/xception-model/tests/golden/network/resnet50-224x224-b1.json. No file is committed: eight of
them are 0.8 GB. To prove them, with the Python that wrote them:

    for file in FOLDER/*.keras FOLDER/resnet50.h5 FOLDER/resnet50_notop.h5; do
        xception convert $file $file.bpk && xception verify $file $file.bpk --with-keras python
    done
"""

import argparse
import gc
from pathlib import Path

import golden
import h5py
import keras
from keras.src.legacy.saving import legacy_h5_format


def network(top: bool) -> keras.Model:
    keras.backend.clear_session()
    shape = (224, 224, golden.RESNET50.in_channels)
    options = {"classifier_activation": None} if top else {}
    model = keras.applications.ResNet50(weights=None, include_top=top, input_shape=shape, **options)
    golden.set_weights({layer.name: layer for layer in model.layers})
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for top in (True, False):
        model, suffix = network(top), "" if top else "_notop"
        model.save(folder / f"resnet50{suffix}.keras")
        model.save_weights(folder / f"resnet50{suffix}.weights.h5")
        model.save(folder / f"resnet50{suffix}.h5")
        with h5py.File(folder / f"resnet50_weights_tf_dim_ordering_tf_kernels{suffix}.h5", "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
        print(f"{model.name}{suffix}: {model.count_params():,} parameters")
        del model
        gc.collect()


if __name__ == "__main__":
    main()
