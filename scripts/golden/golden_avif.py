"""Makes tiny AVIF files, undamaged and damaged, and what Pillow reads from them, in tests/golden/picture/avif of
xception-model.

    python scripts/golden/golden_avif.py

Needs Pillow and numpy (the versions used last stand in requirements.txt), and `avifenc` of libavif (Debian's
libavif-bin) for the kinds of files that Pillow does not write.
"""

import io
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFilter, ImageOps

from golden_folder import empty, write_manifest, write_ppm

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/avif"
WIDTH, HEIGHT = 21, 13


def photo(mode, width=WIDTH, height=HEIGHT, seed=7):
    channels = len(Image.new(mode, (1, 1)).getbands())
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    blurred = [Image.fromarray(noise[..., index]).filter(ImageFilter.GaussianBlur(1.2)) for index in range(channels)]
    levels = np.stack([np.asarray(plane) * 2.5 - 190 for plane in blurred], axis=-1)
    levels = np.clip(levels, 0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels, mode)


def saved(source, **options):
    out = io.BytesIO()
    source.save(out, "AVIF", **{"speed": 8, "max_threads": 1} | options)
    return out.getvalue()


def encoded(source, *options):
    """A file by libavif's own program."""
    with tempfile.TemporaryDirectory() as folder:
        png, out = Path(folder) / "in.png", Path(folder) / "out.avif"
        source.save(png)
        command = ["avifenc", "-j", "1", "-s", "8", "--min", "10", "--max", "40", *options, png, out]
        subprocess.run(command, check=True, capture_output=True)
        return out.read_bytes()


def deep(mode, depth, layout, colours, *options):
    """A file of so many bits, with the numbers of ITU-T H.273 for primaries and matrix."""
    primaries, matrix = colours
    cicp = f"{primaries}/13/{matrix}"
    return encoded(photo(mode), "-d", str(depth), "-y", layout, "--cicp", cicp, *options)


def with_orientation(number, **options):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    exif[ExifTags.Base.Make] = "none"
    return saved(photo("RGB"), exif=exif, **options)


def files():
    """name -> bytes of undamaged files."""
    rgb, rgba = photo("RGB"), photo("RGBA")
    found = {
        "rgb": saved(rgb),
        "rgb-coarse": saved(rgb, quality=5, range="limited"),
        "rgb-422": saved(rgb, subsampling="4:2:2"),
        "rgb-444": saved(rgb, subsampling="4:4:4", range="limited"),
        "rgb-best": saved(rgb, quality=100, subsampling="4:4:4"),
        "rgb-even": saved(photo("RGB", 16, 8)),
        "rgb-pixel": saved(photo("RGB", 1, 1)),
        "rgb-tiles": saved(photo("RGB", 130, 8), tile_cols=1, autotiling=False),
        "grey": saved(photo("L")),
        "grey-limited": saved(photo("L"), range="limited"),
        "rgba": saved(rgba),
        "rgba-422": saved(rgba, subsampling="4:2:2", range="limited"),
        "rgba-444": saved(rgba, subsampling="4:4:4"),
        "rgba-premultiplied": saved(rgba, alpha_premultiplied=True),
        "grey-alpha": saved(rgba, subsampling="4:0:0"),
        "animation": saved(rgb, save_all=True, append_images=[photo("RGB", seed=8)], duration=100),
        "animation-alpha": saved(rgba, save_all=True, append_images=[photo("RGBA", seed=8)], duration=100),
        "xmp": saved(rgb, xmp=b'<x tiff:Orientation="8"/>'),
        "deep-420": deep("RGB", 10, "420", (9, 9)),
        "deep-444-alpha": deep("RGBA", 10, "444", (1, 1), "-r", "limited"),
        "deep-420-alpha": deep("RGBA", 10, "420", (1, 6)),
        "deeper-420-alpha": deep("RGBA", 12, "420", (1, 6)),
        "deeper-422": deep("RGB", 12, "422", (1, 1), "-r", "limited"),
        "deeper-grey-alpha": deep("RGBA", 12, "400", (1, 6)),
        "identity": encoded(rgb, "--lossless"),
        "identity-deep": deep("RGB", 10, "444", (1, 0)),
        "fcc": deep("RGB", 8, "420", (1, 4), "-r", "limited"),
        "fcc-premultiplied": deep("RGBA", 10, "420", (1, 4), "--premultiply"),
        "smpte-240-premultiplied": deep("RGBA", 8, "444", (1, 7), "--premultiply"),
        "ycgco": deep("RGB", 8, "444", (1, 8)),
        "primaries": deep("RGB", 10, "422", (11, 12)),
        "grain": deep("RGB", 8, "420", (1, 6), "-a", "film-grain-test=4"),
        "grid": encoded(photo("RGB", 128, 66), "-y", "420", "--grid", "2x1"),
    }
    for number in range(2, 9):
        found[f"turned-{number}"] = with_orientation(number, quality=30)
    return found


def damaged():
    """name -> bytes of files with another bit, which Pillow reads to other pixels."""
    dice = random.Random(11)
    found = {}
    for name, data in list(files().items())[:20:2]:
        first = data.rindex(b"mdat") + 4
        for _ in range(200):
            bytes_ = bytearray(data)
            bytes_[dice.randrange(first + (len(data) - first) // 2, len(data))] ^= 1 << dice.randrange(8)
            try:
                pixels = read(bytes(bytes_))
            except (OSError, RuntimeError, SyntaxError):
                continue
            if not np.array_equal(pixels, read(data)):
                found[name + "-damaged"] = bytes(bytes_)
                break
    return found


def read(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def upright(data):
    """The picture as it is meant, on white."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


def main():
    empty(FOLDER)
    for name, data in (files() | damaged()).items():
        (FOLDER / f"{name}.avif").write_bytes(data)
        write_ppm(FOLDER / f"{name}.stored.ppm", read(data))
        if not np.array_equal(upright(data), read(data)):
            write_ppm(FOLDER / f"{name}.upright.ppm", upright(data))
    write_manifest(FOLDER, "golden_avif", read=files(), damaged=damaged())


if __name__ == "__main__":
    main()
