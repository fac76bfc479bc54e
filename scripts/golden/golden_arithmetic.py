"""Makes tiny arithmetic-coded JPEG files, undamaged and damaged, and what Pillow reads from them, in
tests/golden/picture/arithmetic of xception-model.

    python scripts/golden/golden_arithmetic.py

Needs Pillow and numpy (the versions used last stand in requirements.txt), and `jpegtran` of libjpeg-turbo with
arithmetic coding (Debian's libjpeg-turbo-progs), which turns the codes of Pillow's files into arithmetic ones.
"""

import io
import random
import subprocess
from pathlib import Path

import numpy as np
from golden_folder import empty, write_manifest, write_ppm
from PIL import Image, ImageFilter

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/arithmetic"
WIDTH, HEIGHT = 29, 19


def photo():
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))


def arithmetic(picture, *options, **encoding):
    out = io.BytesIO()
    picture.save(out, "JPEG", **encoding)
    command = ["jpegtran", "-arithmetic", "-copy", "all", *options]
    return subprocess.run(command, input=out.getvalue(), capture_output=True, check=True).stdout


def files():
    """name -> bytes of undamaged files."""
    rgb = photo()
    inks = Image.merge("CMYK", [*rgb.split(), rgb.split()[0].point(lambda level: level // 2)])
    script = FOLDER / "scans.txt"
    script.write_text("0;1;2;\n")
    several = arithmetic(rgb, "-scans", str(script), subsampling=0)
    script.unlink()
    return {
        "420": arithmetic(rgb, quality=75, subsampling=2),
        "422-coarse": arithmetic(rgb, quality=5, subsampling=1),
        "444-fine": arithmetic(rgb, quality=100, subsampling=0),
        "420-restart": arithmetic(rgb, "-restart", "1B", quality=75, subsampling=2),
        "grey": arithmetic(rgb.convert("L"), quality=90),
        "rgb": arithmetic(rgb, quality=90, keep_rgb=True),
        "several-scans": several,
        "inks": arithmetic(inks, quality=80),
        "inks-420": arithmetic(inks, quality=80, subsampling=2),
        "inks-422-progressive": arithmetic(inks, "-progressive", quality=80, subsampling=1),
        "420-progressive": arithmetic(rgb, "-progressive", quality=75, subsampling=2),
        "422-progressive-restart": arithmetic(rgb, "-progressive", "-restart", "1", quality=90, subsampling=1),
        "grey-progressive-fine": arithmetic(rgb.convert("L"), "-progressive", quality=100),
    }


def damaged():
    """name -> bytes of files with a few other bytes in a scan, which Pillow reads."""
    dice = random.Random(11)
    found = {}
    for name, data in files().items():
        first = data.index(b"\xff\xda") + 14
        for _ in range(100):
            bytes_ = bytearray(data)
            for _ in range(dice.choice([1, 1, 2, 4])):
                bytes_[dice.randrange(first, len(data) - 2)] = dice.randrange(255)
            try:
                pixels = read(bytes(bytes_))
            except (OSError, SyntaxError):
                continue
            if not np.array_equal(pixels, read(data)):
                found[name + "-damaged"] = bytes(bytes_)
                break
    return found


def read(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def main():
    empty(FOLDER)
    for name, data in (files() | damaged()).items():
        (FOLDER / f"{name}.jpg").write_bytes(data)
        write_ppm(FOLDER / f"{name}.ppm", read(data))
    write_manifest(FOLDER, "golden_arithmetic", read=files(), damaged=damaged())


if __name__ == "__main__":
    main()
