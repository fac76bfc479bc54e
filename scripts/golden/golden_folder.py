"""A folder of golden pictures: files, what Pillow reads from them, and a manifest."""

import json

import numpy as np
import PIL


def empty(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


def write_ppm(path, picture):
    """`picture`: RGB, as a picture of Pillow or an array of [height, width, 3]."""
    array = np.asarray(picture)
    path.write_bytes(b"P6\n%d %d\n255\n" % (array.shape[1], array.shape[0]) + array.tobytes())


def write_manifest(folder, script, **names):
    """`names`: the names of the files of each kind."""
    manifest = {"made_by": f"scripts/golden/{script}.py", "pillow": PIL.__version__}
    manifest |= {kind: sorted(names) for kind, names in names.items()}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(list(folder.iterdir()))} files, {sum(path.stat().st_size for path in folder.iterdir())} bytes")
