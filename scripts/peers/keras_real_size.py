#!/usr/bin/env python3
"""Xceptions of real size, written by Keras of every age, converted, and compared with what that Keras computes.

    cargo build --release --bin converter
    scripts/peers/keras_real_size.py target/release/converter FOLDER [ENVIRONMENT ...]

Each line of ENVIRONMENTS is a virtual environment that is made in FOLDER, from the Python of that version: `python3.6`
on the path, or pyenv's. Its Keras writes a file of every layout it has; `converter` turns it into a record, and
`converter verify --with-keras` runs the same picture in both. A line a file is printed:

    stages that agree within 1e-5, the largest relative difference in norm of all stages, tensors equal bit for bit

Exits with 1 if a file was refused or anything differs. Files of 90 MB are deleted when they are checked (`--keep`
leaves them), environments (0.4 to 1.5 GB) with `--delete`.

The weights are Keras's initial ones from a fixed seed, with norms that are not the identity. No file is committed: they
are made on demand, and only their Keras is pinned.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

KERAS_1 = "h5py==2.10.0 numpy==1.16.6 protobuf==3.19.6 pyyaml==5.4.1 scipy==1.2.3 six==1.17.0 tensorflow=={}"
LEGACY = ["weights", "notop", "model", "nested"]
ARCHIVE = ["archive", "archive_nested", "named_weights"]
# Name: Python, what pip installs together, what it installs without dependencies, the files it writes.
ENVIRONMENTS = {
    # The oldest Keras with an Xception; `numbered` is the official file's layout, from before its layers had names.
    "keras-1.2.2": ("3.6", KERAS_1.format("1.0.1"), "keras==1.2.2", ["numbered", *LEGACY]),
    # The oldest Keras 2, on the oldest TensorFlow it runs on.
    "keras-2.0.0": ("3.6", KERAS_1.format("1.0.1"), "keras==2.0.0", LEGACY),
    "keras-2.2.4": (
        "3.6",
        KERAS_1.format("1.12.0"),
        "keras==2.2.4 keras-applications==1.0.8 keras-preprocessing==1.1.2",
        LEGACY,
    ),
    # The first and the second layout of `.keras` archives with HDF5 weights, and the last Keras 2.
    "keras-2.12.0": ("3.11", "tensorflow-cpu==2.12.0", "", [*LEGACY, *ARCHIVE]),
    "keras-2.14.0": ("3.11", "numpy==1.26.4 tensorflow-cpu==2.14.0", "", [*LEGACY, *ARCHIVE]),
    "keras-2.15.0": ("3.11", "tensorflow-cpu==2.15.0", "", [*LEGACY, *ARCHIVE]),
    # Early Keras 3, then one that writes no layer names, then the one that the other fixtures are pinned to.
    # This one cannot save a nested model as `.h5` (its names collide).
    "keras-3.0.5": ("3.11", "tensorflow-cpu==2.16.1 keras==3.0.5", "", ["weights", "notop", "model", *ARCHIVE]),
    "keras-3.3.3": ("3.11", "tensorflow-cpu==2.16.1 keras==3.3.3", "", [*LEGACY, *ARCHIVE]),
    "keras-3.15.1": (
        "3.11",
        "h5py==3.14.0 keras==3.15.1 numpy==2.4.6 pillow==13.0.0 tensorflow-cpu==2.21.0",
        "",
        [*LEGACY, *ARCHIVE],
    ),
}
ENDINGS = {"archive": ".keras", "archive_nested": ".keras", "named_weights": ".weights.h5"}
CLASSES = 6


# In the environment


def write(kind, target):
    """Writes the file `kind` with the Keras of this Python. Nothing newer than Python 3.6 and Keras 1 in here."""
    import keras
    import numpy as np
    from keras.applications import xception
    from keras.layers import Dense, GlobalAveragePooling2D, Input
    from keras.models import Model

    if kind == "numbered":
        # The program that trained the official weights gave no names.
        with open(xception.__file__) as source:
            text = re.sub(r"(, )?name='[^']*'", "", source.read())
        namespace = {"__name__": "keras.applications.numbered", "__package__": "keras.applications"}
        exec(compile(text, "numbered", "exec"), namespace)
        model = namespace["Xception"](weights=None)
    elif kind in ("notop", "nested", "archive_nested"):
        model = xception.Xception(weights=None, include_top=False, input_shape=(299, 299, 3))
    else:
        model = xception.Xception(weights=None)
    if "nested" in kind:
        picture = Input((299, 299, 3))
        backbone = model
        backbone.trainable = False
        pooled = GlobalAveragePooling2D()(backbone(picture))
        model = Model(picture, Dense(CLASSES)(pooled))

    random = np.random.RandomState(7)
    values = []
    for weight in model.get_weights():
        if weight.ndim == 1:
            # Gammas and variances stand at 1, betas, means and biases at 0.
            weight = weight + random.uniform(-0.2, 0.2, weight.shape).astype("float32")
        else:
            # Glorot's width, also where an initializer draws otherwise.
            width = np.sqrt(6.0 / np.prod(weight.shape[:-1]))
            weight = random.uniform(-width, width, weight.shape).astype("float32")
        values.append(weight)
    model.set_weights(values)
    if kind in ("model", "nested", "archive", "archive_nested"):
        model.save(target)
    elif kind in ("weights", "notop", "numbered") and keras.__version__.startswith("3"):
        # Keras 3 offers this layout for whole models alone; the writer is there.
        import h5py
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(target, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    else:
        model.save_weights(target)


# Outside


def find_python(version):
    found = shutil.which("python" + version)
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
    candidates = sorted(pyenv.glob(version + ".*/bin/python"))
    if candidates:
        return str(candidates[-1])
    if found:
        return found
    raise SystemExit("no Python {0} here: put python{0} on the path, or `pyenv install {0}`".format(version))


def environment(folder, name):
    """The Python of the environment, which is made if it isn't there."""
    version, together, alone, _ = ENVIRONMENTS[name]
    home = folder / name
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([find_python(version), "-m", "venv", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
        # Old sources need the last two to be built, and wheels of after 2019 a pip that knows them.
        subprocess.run([*pip, "--upgrade", "pip", "setuptools", "wheel"], check=True)
        subprocess.run([*pip, *together.split()], check=True)
        if alone:
            subprocess.run([*pip, "--no-deps", *alone.split()], check=True)
        (home / "complete").touch()
    return python


def check(converter, python, path, kind):
    """Converts and verifies a file. The row, and whether all is well."""
    record, report = path.with_suffix(".bpk"), path.with_suffix(".json")
    # No file records how its pictures are scaled; one with weights alone records nothing about pictures and outputs.
    known = ["--scaling", "tf"]
    if kind in ("weights", "notop", "numbered", "named_weights"):
        known += ["--size", "299x299", "--pooling", "none" if kind == "notop" else "average", "--head", "softmax"]
    start = time.monotonic()
    done = subprocess.run([converter, path, record, "--force", *known], capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        return "refused: " + done.stderr.strip(), False
    verify = [converter, "verify", path, record, "--with-keras", python, "--json", report, "--force", *known]
    done = subprocess.run(verify, capture_output=True, text=True)
    if not report.exists():
        return "not verified: " + done.stderr.strip(), False
    found = json.loads(report.read_text())
    tensors, stages = found["tensors"], found["engine"]["stages"]
    agreeing = sum(stage["relative"] <= found["engine"]["bound"] for stage in stages)
    largest = max(stage["relative"] for stage in stages)
    row = "{}/{} stages, {:.1e}, {}/{} tensors, {:.2f} s".format(
        agreeing, len(stages), largest, tensors["equal"], tensors["compared"], seconds
    )
    return row, done.returncode == 0 and agreeing == len(stages)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("converter", type=pathlib.Path, help="the program")
    parser.add_argument("folder", type=pathlib.Path, help="where environments and files are made")
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--delete", action="store_true", help="delete each environment when it is done")
    args = parser.parse_args()
    converter, folder = args.converter.resolve(), args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    unknown = set(args.environments) - set(ENVIRONMENTS)
    if unknown:
        parser.error("no such environment: " + ", ".join(sorted(unknown)))
    all_well = True
    for name in args.environments or ENVIRONMENTS:
        python = environment(folder, name)
        files = folder / (name + "-files")
        files.mkdir(exist_ok=True)
        for kind in ENVIRONMENTS[name][3]:
            path = files / (kind + ENDINGS.get(kind, ".h5"))
            done = subprocess.run([python, __file__, "--write", kind, path], capture_output=True, text=True)
            if done.returncode:
                row, well = "not written: " + (done.stderr.strip().splitlines() or ["no word"])[-1], False
            else:
                row, well = check(converter, python, path, kind)
            all_well &= well
            print("{:<14} {:<24} {}".format(name, path.name, row), flush=True)
            if not args.keep:
                for file in files.glob(kind + "*"):
                    file.unlink()
        if not args.keep:
            shutil.rmtree(files)
        if args.delete:
            shutil.rmtree(folder / name)
    sys.exit(not all_well)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(*sys.argv[2:])
    else:
        main()
