#!/usr/bin/env bash
# Fetches 1,797 handwritten digits of 8 x 8 pixels (the test part of UCI's "Optical Recognition of Handwritten Digits",
# CC BY 4.0) from the wheel of scikit-learn, checks them, and writes them as pictures, one folder per digit. Prints the
# folder. Needs python3 with pip; runs offline the second time.
set -euo pipefail

version=1.5.2
wheel=scikit_learn-$version-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
table=sklearn/datasets/data/digits.csv.gz
table_sha256=09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22

cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/digits
mkdir -p "$cache"

if [ ! -d "$cache/digits" ]; then
    if [ ! -f "$cache/$wheel" ]; then
        echo "fetching scikit-learn $version (13 MB)" >&2
        # The wheel of one platform, on every platform: no code of it is run.
        python3 -m pip download --quiet --no-deps --only-binary :all: --platform manylinux2014_x86_64 \
            --python-version 3.12 --dest "$cache" "scikit-learn==$version" >&2
    fi
    rm -rf "$cache/digits.part"
    python3 - "$cache" "$wheel" "$table" "$table_sha256" <<'PYTHON'
import gzip, hashlib, pathlib, struct, sys, zipfile, zlib

folder, wheel, table, sha256 = sys.argv[1:]
folder = pathlib.Path(folder)
packed = zipfile.ZipFile(folder / wheel).read(table)
if hashlib.sha256(packed).hexdigest() != sha256:
    sys.exit(f"error: {table} in {folder / wheel} is not the file this project expects; delete it and run this again")


def png(rows):
    """A grey picture of 8 bits."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    size = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


for number, line in enumerate(gzip.decompress(packed).decode().split()):
    *pixels, digit = (int(float(value)) for value in line.split(","))
    # Pixels count the dark ones of 4 x 4 in the scan: 0 to 16.
    pixels = [min(255, 16 * pixel) for pixel in pixels]
    place = folder / "digits.part" / str(digit)
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{number:04}.png").write_bytes(png([pixels[row * 8:row * 8 + 8] for row in range(8)]))
PYTHON
    mv "$cache/digits.part" "$cache/digits"
fi
echo "$cache/digits"
