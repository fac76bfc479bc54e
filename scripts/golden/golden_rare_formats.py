"""Makes tiny files of the rarer formats and what Pillow's `convert("RGB")` reads from them, in
tests/golden/picture/rare of xception-model.

    python scripts/golden/golden_rare_formats.py

Needs Pillow and numpy; the versions used last stand in requirements.txt.
"""

import gzip
import io
import json
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import PIL
from golden_formats import HEIGHT, WIDTH, bmp, bmp_rows, colours, level, packed
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/rare"


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def runs_of(row, most):
    """[length, value] of each run of a row."""
    runs = []
    for value in row:
        if runs and runs[-1][1] == value and runs[-1][0] < most:
            runs[-1][0] += 1
        else:
            runs.append([1, value])
    return runs


def pnm():
    size = f"{WIDTH} {HEIGHT}".encode()
    rgb, grey, four = level(3), level(1)[:, :, 0], level(4)
    wide = rgb.astype(np.int64) * 257 + 77
    plain = lambda samples: b"\n".join(b" ".join(b"%d" % value for value in row.ravel()) for row in samples)
    floats = grey.astype(np.float32) * 1.3 - 20
    return {
        "bits": b"P4 " + size + b"\n" + b"".join(packed(level(1, 1), 1)),
        "bits-plain": b"P1\n" + size + b"\n" + plain(grey & 1).replace(b" ", b""),
        "bits-plain-comment": b"P1\n" + size + b"\n# bits\n" + plain(grey & 1),
        "grey": b"P5\n# grey\n" + size + b"\n255\n" + grey.tobytes(),
        "grey-17-levels": b"P5\n" + size + b"\n17\n" + (grey % 20).tobytes(),
        "grey-10-bits": b"P5\n" + size + b"\n1023\n" + (grey.astype(">u2") * 4).astype(">u2").tobytes(),
        "grey-16-bits": b"P5\n" + size + b"\n65535\n" + wide[:, :, 0].astype(">u2").tobytes(),
        "grey-plain": b"P2\n" + size + b"\n255\n" + plain(grey),
        "grey-plain-12-bits": b"P2\n" + size + b"\n4095\n# deep\n" + plain(grey.astype(int) * 16) + b"\n",
        "colour": b"P6\t" + size + b" # a size\n255\n" + rgb.tobytes(),
        "colour-100-levels": b"P6\n" + size + b"\n100\n" + (rgb % 120).tobytes(),
        "colour-16-bits": b"P6\n" + size + b"\n65535\n" + wide.astype(">u2").tobytes(),
        "colour-dark": b"P6\n" + size + b"\n65535\n" + (wide // 16).astype(">u2").tobytes(),
        "colour-plain": b"P3\n" + size + b"\n999\n" + plain(rgb.astype(int) * 3),
        "inks": b"P0CMYK\n" + size + b"\n255\n" + four.tobytes(),
        "transparent": b"PyRGBA\n" + size + b"\n255\n" + four.tobytes(),
        "float": b"Pf\n" + size + b"\n-1.0\n" + floats.astype("<f4").tobytes(),
        "float-big-endian": b"Pf\n" + size + b"\n2.5\n" + floats.astype(">f4").tobytes(),
    }


def tga_file(kind, depth, data, flags=0, map_=(0, 0, 0), id_=b"", end=b""):
    start, count, bits = map_
    header = struct.pack("<BBBHHBHHHHBB", len(id_), bits > 0, kind, *map_, 0, 0, WIDTH, HEIGHT, depth, flags)
    palette = bytes((i * 37 + i * i * 3) & 255 for i in range(count * bits // 8))
    return header + id_ + palette + data + end


def tga_runs(samples, is_crossing=False):
    """Runs within the rows, or literals across them."""
    height, width, channels = samples.shape
    if is_crossing:
        flat = samples.reshape(-1, channels)
        parts = [flat[at : at + 100] for at in range(0, len(flat), 100)]
        return b"".join(bytes([len(part) - 1]) + part.tobytes() for part in parts)
    data = b""
    for row in samples:
        for length, pixel in runs_of([pixel.tobytes() for pixel in row], 128):
            data += bytes([0x80 | (length - 1)]) + pixel
    return data


def tga():
    rgb, four, grey = level(3), level(4), level(1)
    few = grey % 20
    calm = np.repeat(rgb[:, ::4], 4, axis=1)[:, :WIDTH]
    fifths = (rgb[:, :, 0].astype(np.uint16) * 256 + rgb[:, :, 1]).astype("<u2").tobytes()
    extension = bytes(494) + b"%c"
    footer = struct.pack("<II", 18 + WIDTH * HEIGHT * 4, 0) + b"TRUEVISION-XFILE.\0"
    return {
        "bits": tga_file(3, 1, b"".join(packed(level(1, 1), 1))),
        "grey": tga_file(3, 8, grey.tobytes(), 0x20, id_=b"name"),
        "grey-runs": tga_file(11, 8, tga_runs(grey)),
        "grey-map": tga_file(3, 8, few.tobytes(), map_=(0, 20, 24)),
        "grey-transparent": tga_file(3, 16, level(2).tobytes()),
        "map-16-bits": tga_file(1, 8, few.tobytes(), map_=(0, 20, 16)),
        "map-24-bits": tga_file(1, 8, few.tobytes(), 0x30, map_=(3, 20, 24)),
        "map-32-bits-runs": tga_file(9, 8, tga_runs(few), map_=(3, 20, 32)),
        "16-bits": tga_file(2, 16, fifths, 1),
        "24-bits-from-the-right": tga_file(2, 24, rgb.tobytes(), 0x10),
        "24-bits-runs": tga_file(10, 24, tga_runs(calm), 0x20),
        "24-bits-literals-across-rows": tga_file(10, 24, tga_runs(rgb, True)),
        "32-bits": tga_file(2, 32, four.tobytes(), 8),
        "32-bits-opaque": tga_file(2, 32, four.tobytes(), end=extension.replace(b"%c", b"\0") + footer),
        "32-bits-version-2": tga_file(2, 32, four.tobytes(), end=extension.replace(b"%c", b"\3") + footer),
    }


def pcx_file(planes, bits, rows, version=5, end=b"", stride=None):
    """Rows of planes, each of which is padded to an even length, or to `stride`."""
    data, longest = b"", stride or max(len(plane) + len(plane) % 2 for row in rows for plane in row)
    for row in rows:
        for length, value in runs_of(b"".join(plane.ljust(longest, b"\0") for plane in row), 63):
            data += bytes([value]) if length == 1 and value < 0xC0 else bytes([0xC0 | length, value])
    header = struct.pack("<BBBB6H", 10, version, 1, bits, 2, 3, WIDTH + 1, HEIGHT + 2, 72, 72) + colours(16, 3)
    return (header + struct.pack("<BBHH", 0, planes, longest, 1)).ljust(128, b"\0") + data + end


def pcx():
    rgb, grey = level(3), level(1)
    bit_planes = lambda count: [
        [packed((row >> plane & 1)[None], 1)[0] for plane in range(count)] for row in level(1, count)
    ]
    ramp = bytes(level for level in range(256) for _ in range(3))
    return {
        "bits": pcx_file(1, 1, bit_planes(1)),
        "2-planes": pcx_file(2, 1, bit_planes(2)),
        "4-planes": pcx_file(4, 1, bit_planes(4), version=2),
        "4-planes-odd": pcx_file(4, 1, [[plane + b"\0" for plane in row] for row in bit_planes(4)], stride=3),
        "palette": pcx_file(1, 8, [[row.tobytes()] for row in grey], end=b"\x0c" + colours(256, 3)),
        "grey": pcx_file(1, 8, [[row.tobytes()] for row in grey], end=b"\x0c" + ramp),
        "colour": pcx_file(3, 8, [[row[:, band].tobytes() for band in range(3)] for row in rgb]),
        "colour-odd": pcx_file(3, 8, [[row[:, band].tobytes() for band in range(3)] for row in rgb], stride=WIDTH),
    }


def sgi_file(samples, size=1, is_packed=True):
    height, width, channels = samples.shape
    head = struct.pack(">HBBHHHH", 474, is_packed, size, 3 if channels > 1 else 2, width, height, channels)
    head = head.ljust(512, b"\0")
    planes = samples[::-1].transpose(2, 0, 1)
    if not is_packed:
        return head + (planes.tobytes() if size == 1 else (planes.astype(">u2") * 257).astype(">u2").tobytes())
    starts, lengths, data = [], [], b""
    for row in planes.reshape(-1, width).tolist():
        # A literal of five samples, then runs.
        numbers = [0x80 | 5, *row[:5]] + [number for run in runs_of(row[5:], 127) for number in run] + [0]
        starts.append(512 + 8 * height * channels + len(data))
        lengths.append(len(numbers))
        heads = {0, *range(6, len(numbers), 2)}
        wide = [number if at in heads else number * 257 for at, number in enumerate(numbers)]
        data += bytes(numbers) if size == 1 else struct.pack(f">{len(wide)}H", *wide)
    return head + struct.pack(f">{2 * len(starts)}I", *starts, *lengths) + data + b"\0\0"


def sgi():
    files = {}
    for name, samples in (("grey", level(1)), ("colour", level(3)), ("transparent", level(4))):
        files[name] = sgi_file(samples, is_packed=False)
        files[f"{name}-16-bits"] = sgi_file(samples, 2, is_packed=False)
        files[f"{name}-runs"] = sgi_file(samples)
    return files | {"colour-16-bits-runs": sgi_file(level(3), 2)}


def sun_file(depth, kind, rows, map_=b""):
    if kind == 2:
        data = b""
        for length, value in runs_of(b"".join(rows), 256):
            is_single = length == 1 and value != 0x80
            data += bytes([value] if is_single else [0x80, 0] * length if length < 2 else [0x80, length - 1, value])
    else:
        data = b"".join(row + b"\0" * (len(row) % 2) for row in rows)
    return struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, depth, 0, kind, bool(map_), len(map_)) + map_ + data


def sun():
    grey, rgb, four = ([row.tobytes() for row in level(channels)] for channels in (1, 3, 4))
    map_ = bytes(i * 53 & 255 for i in range(3 * 64))
    return {
        "bits": sun_file(1, 1, packed(level(1, 1), 1)),
        "bits-runs": sun_file(1, 2, packed(level(1, 1), 1)),
        "4-bits": sun_file(4, 1, packed(level(1, 4), 4)),
        "4-bits-map": sun_file(4, 1, packed(level(1, 4), 4), map_),
        "grey": sun_file(8, 0, grey),
        "grey-runs": sun_file(8, 2, grey),
        "map": sun_file(8, 1, [row.tobytes() for row in level(1, 6)], map_),
        "24-bits": sun_file(24, 1, rgb),
        "24-bits-red-first": sun_file(24, 3, rgb),
        "32-bits-runs": sun_file(32, 2, four),
    }


def packbits(row):
    data = b""
    for length, value in runs_of(row, 128):
        data += bytes([0, value]) if length == 1 else bytes([257 - length, value])
    return b"\x80" + data


def psd_file(mode, samples, bits=8, is_packed=True, map_=b"", resources=b"", layers=b""):
    """`samples`: [channels, height] of rows."""
    size = struct.pack(">IIHH", HEIGHT, WIDTH, bits, mode)
    head = b"8BPS" + struct.pack(">H6xH", 1, len(samples)) + size
    for section in (map_, resources, layers):
        head += struct.pack(">I", len(section)) + section
    rows = [packbits(row) if is_packed else row for channel in samples for row in channel]
    lengths = b"".join(struct.pack(">H", len(row)) for row in rows) if is_packed else b""
    return head + struct.pack(">H", is_packed) + lengths + b"".join(rows)


def psd():
    channels = lambda count: [[row[:, band].tobytes() for row in level(count)] for band in range(count)]
    resources = b"8BIM\x03\xed\x03abc\0\0\0\4\1\2\3\4" + b"8BIM\x04\x0f\0\0\0\0\0\3xyz\0"
    map_ = bytes(i * 91 & 255 for i in range(768))
    return {
        "bits": psd_file(0, [packed(level(1, 1), 1)], bits=1),
        "grey": psd_file(1, channels(1), is_packed=False),
        "grey-with-mask": psd_file(1, channels(2)),
        "map": psd_file(2, channels(1), map_=map_),
        "colour": psd_file(3, channels(3), resources=resources, layers=bytes(12)),
        "colour-plain": psd_file(3, channels(3), is_packed=False),
        "transparent": psd_file(3, channels(4)),
        "colour-with-masks": psd_file(3, channels(5)),
        "inks": psd_file(4, channels(4)),
        "duotone": psd_file(8, channels(1)),
        "lab": psd_file(9, channels(3)),
    }


def icon_file(pictures, kind=1):
    """`pictures`: width, height, bits of each entry, and its bytes."""
    at, heads, data = 6 + 16 * len(pictures), b"", b""
    for width, height, bits, file in pictures:
        heads += struct.pack("<BBBBHHII", width, height, 0, 0, 1, bits, len(file), at + len(data))
        data += file
    return struct.pack("<HHH", 0, kind, len(pictures)) + heads + data


def icon_bitmap(bits, samples, palette=b"", has_mask=True):
    """A bitmap without its first header, which counts the mask's rows as well."""
    rows = samples if isinstance(samples, list) else packed(samples, bits)
    file = bytearray(bmp(bits, bmp_rows(rows), palette=palette)[14:])
    file[8:12] = struct.pack("<i", 2 * HEIGHT)
    mask = bmp_rows(packed(level(1, 1)[:, ::-1], 1)) if has_mask else b""
    return bytes(file) + mask


def ico():
    grey = b"".join(bytes([i, i, i, 0]) for i in range(256))
    bgr, bgra = ([row.tobytes() for row in level(channels)] for channels in (3, 4))
    png = lambda channels: saved(Image.fromarray(level(channels)), "PNG")
    entry = lambda bits, *rest, **options: (WIDTH, HEIGHT, bits, icon_bitmap(bits, *rest, **options))
    kinds = {
        "1-bit": entry(1, level(1, 1), colours(2, 4)),
        "4-bits": entry(4, level(1, 4), colours(16, 4)),
        "8-bits": entry(8, level(1), colours(256, 4)),
        "8-bits-grey": entry(8, level(1), grey),
        "24-bits": entry(24, bgr),
        "32-bits": entry(32, bgra),
        "32-bits-as-24": (WIDTH, HEIGHT, 24, icon_bitmap(32, bgra)),
    }
    files = {name: icon_file([picture]) for name, picture in kinds.items()}
    large = (20, 9, 32, saved(Image.fromarray(level(4)).resize((20, 9)), "PNG"))
    return files | {
        "png": icon_file([(WIDTH, HEIGHT, 32, png(4))]),
        "png-opaque": icon_file([(WIDTH, HEIGHT, 32, png(3))]),
        "largest": icon_file([kinds["4-bits"], large, kinds["24-bits"]]),
        "fewest-bits": icon_file([kinds["32-bits"], kinds["24-bits"], kinds["8-bits"]]),
    }


def cur():
    black_and_white = b"\0\0\0\0\xff\xff\xff\0"
    bgra = [row.tobytes() for row in level(4)]
    entry = lambda bits, *rest: (WIDTH, HEIGHT, bits, icon_bitmap(bits, *rest))
    small = (5, 5, 4, entry(4, level(1, 4), colours(16, 4))[3])
    return {
        "1-bit": icon_file([entry(1, level(1, 1), black_and_white)], 2),
        "1-bit-colours": icon_file([entry(1, level(1, 1), colours(2, 4))], 2),
        "8-bits": icon_file([entry(8, level(1), colours(256, 4))], 2),
        "32-bits": icon_file([entry(32, bgra)], 2),
        "larger-second": icon_file([small, entry(32, bgra)], 2),
    }


def icns_channels(side, mask):
    """Runs and literals of each channel, and the mask."""
    data = b""
    for channel in range(3):
        left = side * side
        while left:
            length = min(left, 40 + channel)
            is_run = left % 3 and length > 2
            values = bytes((left * 3 + i) & 255 for i in range(length))
            data += bytes([length + 125, left & 255]) if is_run else bytes([length - 1]) + values
            left -= length
    parts = [(b"is32", data)]
    return parts + ([(b"s8mk", bytes(i * 3 & 255 for i in range(side * side)))] if mask else [])


def icns_file(parts):
    data = b"".join(name + struct.pack(">I", len(part) + 8) + part for name, part in parts)
    return b"icns" + struct.pack(">I", len(data) + 8) + data


def icns():
    plain = bytes(i * 7 & 255 for i in range(16 * 16 * 3))
    small = Image.fromarray(level(4)).resize((16, 16))
    png = saved(small, "PNG")
    return {
        "runs": icns_file(icns_channels(16, False)),
        "runs-mask": icns_file(icns_channels(16, True)),
        "plain": icns_file([(b"TOC ", b"abcd"), (b"is32", plain)]),
        "png": icns_file([*icns_channels(16, True), (b"ic11", png)]),
        "jpeg-2000": icns_file([(b"icp4", saved(small, "JPEG2000")), (b"s8mk", bytes(256))]),
        "jpeg-2000-stream": icns_file([(b"ic11", saved(small.convert("RGB"), "JPEG2000", no_jp2=True))]),
    }


def dib():
    bgr = bmp_rows([row.tobytes() for row in level(3)])
    few = bmp_rows(packed(level(1, 4), 4))
    return {
        "4-bits": bmp(4, few, palette=colours(16, 4))[14:],
        "24-bits": bmp(24, bgr)[14:],
        "24-bits-os2": bmp(24, bgr, header=12)[14:],
        "32-bits-masks": bmp(32, bmp_rows([row.tobytes() for row in level(4)]), 3, masks=(0xFF0000, 0xFF00, 0xFF))[14:],
    }


def xpm_file(count, characters, has_none):
    letters = "abcdefghijklmnopqrstuvwxyz.+@#$%&*=-"
    keys = [(letters[i // 36] + letters[i % 36])[-characters:] for i in range(count)]
    lines = [f"{WIDTH} {HEIGHT} {count} {characters}"]
    for i, key in enumerate(keys):
        lines.append(f"{key} c " + ("None" if has_none and i == 3 else f"#{i * 7919 * 13 & 0xFFFFFF:06X}"))
    for y in range(HEIGHT):
        lines.append("".join(keys[(x * 7 + y * 5) % count] for x in range(WIDTH)))
    return ("/* XPM */\nstatic char *x[] = {\n" + ",\n".join(f'"{line}"' for line in lines) + "};\n").encode()


def x11():
    bits = Image.fromarray(level(1, 1)[:, :, 0] * 255).convert("1")
    xbm = {"plain": saved(bits, "XBM"), "hotspot": b"/* a cross */\n" + saved(bits, "XBM", hotspot=(1, 2))}
    xpm = {
        "few-colours": xpm_file(10, 1, False),
        "transparent": xpm_file(12, 1, True),
        "many-colours": xpm_file(260, 2, False),
        "many-colours-transparent": xpm_file(260, 2, True),
    }
    return {"xbm": xbm, "xpm": xpm}


def qoi():
    calm = np.repeat(level(3)[:, ::4], 4, axis=1)[:, :WIDTH]
    near = (level(3, 2) + 100).astype(np.uint8)
    black = b"qoif" + struct.pack(">IIBB", WIDTH, HEIGHT, 4, 0) + b"\xfd\x35\xcd\0"
    save = lambda samples: saved(Image.fromarray(samples), "QOI")
    return {"colour": save(calm), "near": save(near), "transparent": save(level(4)), "runs-first": black}


def fits_part(kind, lines):
    """A header: the line that names its kind, and others."""
    lines = [kind, *lines.items()]
    text = b"".join(f"{name:<8}= {value:>20}".ljust(80).encode() for name, value in lines) + b"END".ljust(80)
    return text.ljust(-(-len(text) // 2880) * 2880)


FITS = ("SIMPLE", "T")
FITS_SIZE = {"NAXIS": 2, "NAXIS1": WIDTH, "NAXIS2": HEIGHT}


def fits_file(bits, samples, **lines):
    """Data of at least 80 bytes: Pillow misreads fewer."""
    data = samples.astype({8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[bits]).tobytes()
    return fits_part(FITS, {"BITPIX": bits} | FITS_SIZE | lines) + data.ljust(80, b"\0")


def fits_gzip(bits, samples):
    """A table of one row, and the numbers, of four bytes each; Pillow looks at the last ones."""
    empty = fits_part(FITS, {"BITPIX": 8, "NAXIS": 0})
    table = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "ZIMAGE": "T", "ZCMPTYPE": "'GZIP_1  '"}
    size = {"ZBITPIX": bits, "ZNAXIS": 2, "ZNAXIS1": WIDTH, "ZNAXIS2": HEIGHT}
    rows = b"".join(gzip.compress(row.astype(">i4").tobytes(), mtime=0) for row in samples)
    return empty + fits_part(("XTENSION", "'BINTABLE'"), table | size) + bytes(8) + rows


def fits():
    grey = level(1)[:, :, 0].astype(np.int64)
    extension = fits_part(("XTENSION", "'IMAGE   '"), {"BITPIX": 8, "NAXIS": 3, "NAXIS3": 2} | FITS_SIZE | {"NAXIS": 3})
    return {
        "grey": fits_file(8, grey, DATE="'1 / 2'"),
        "16-bits": fits_file(16, grey * 128 + 99),
        "32-bits": fits_file(32, grey * 2 - 50),
        "float": fits_file(-32, grey * 1.3 - 20),
        "double": fits_file(-64, grey * 1.3 - 20),
        "planes-behind": fits_part(FITS, {"BITPIX": 8, "NAXIS": 0}) + extension + bytes(level(2).transpose(2, 0, 1)),
        "column": fits_part(FITS, {"BITPIX": 8, "NAXIS": 1, "NAXIS1": 90}) + bytes(range(90)),
        "gzip": fits_gzip(8, grey),
        "gzip-16-bits": fits_gzip(16, grey * 128 + 99),
    }


def fli_file(*parts, mark=0xAF12, frame=0xF1FA):
    """`parts`: type and data."""
    data = b"".join(struct.pack("<IH", len(part) + 6, kind) + part for kind, part in parts)
    length = 128 + 16 + len(data)
    head = struct.pack("<IHHHHHHI", length, mark, 3, WIDTH, HEIGHT, 8, 3, 70).ljust(128, b"\0")
    return head + struct.pack("<IHH8x", 16 + len(data), frame, len(parts)) + data


def fli():
    grey = level(1)[:, :, 0]
    colours_ = (4, struct.pack("<HBB", 1, 0, 0) + colours(256, 3))
    few = (11, struct.pack("<HBB", 2, 3, 2) + bytes(range(1, 7)) + b"\x09\x02" + bytes(range(50, 56)))
    literals = lambda row: b"\1" + bytes([256 - WIDTH]) + bytes(row)
    runs = lambda row: b"\2\4" + bytes([row[0], WIDTH - 4, row[1]])
    rows = (15, b"".join((literals if y % 2 else runs)(row) for y, row in enumerate(grey)))
    copy = (16, grey.tobytes())
    lines = (12, struct.pack("<HH", 1, 2) + b"\2\1\2ab\3\xfcc" + b"\1\0\x0bABCDEFGHIJK")
    words = struct.pack("<HHBB2s", 3, 1, 3, 0xFE, b"xy") + struct.pack("<HHHBB4s", 0xFFFE, 0x8042, 1, 1, 2, b"pqrs")
    words = (7, words + struct.pack("<HBBHBBH", 2, 0, 1, 0x4141, 5, 0xFF, 0x4242))
    return {
        "runs": fli_file(colours_, rows),
        "few-colours": fli_file((18, b"post"), few, rows, mark=0xAF11),
        "copy-grey": fli_file(copy),
        "lines": fli_file(colours_, copy, lines),
        "words": fli_file(colours_, copy, words),
        "black": fli_file(colours_, copy, (13, bytes(4))),
    }


def dcx_file(*pages):
    """Pages that follow each other."""
    places = [4 + 4 * len(pages) + 4 + sum(map(len, pages[:index])) for index in range(len(pages))]
    return struct.pack(f"<{len(pages) + 2}I", 0x3ADE68B1, *places, 0) + b"".join(pages)


def dcx():
    pages = pcx()
    return {name: dcx_file(pages[name], pages["bits"]) for name in ("bits", "4-planes", "colour")} | {
        "palette": dcx_file(pages["palette"], pages["palette"])
    }


def im_file(kind, data, lut=b"", size=f"{WIDTH}*{HEIGHT}"):
    lines = f"Image type: {kind} image\r\nImage size (x*y): {size}\r\nFile size (no of images): 1\r\n"
    return (lines.encode() + (b"Lut: 1\r\n" if lut else b"") + b"\0\0\x1a") + lut + data


def im():
    grey = level(1)[:, :, 0]
    rows = lambda channels: level(channels).transpose(0, 2, 1).tobytes()
    lut = np.frombuffer(colours(256, 3), np.uint8).reshape(256, 3).T.tobytes()
    five = b"".join(
        sum(int(value) % 32 << 5 * x for x, value in enumerate(row)).to_bytes(7, "little") for row in grey
    )
    return {
        "bits": im_file("0 1", b"".join(packed(level(1, 1), 1))),
        "grey": im_file("Greyscale", grey.tobytes()),
        "palette": im_file("Greyscale", grey.tobytes(), lut),
        "colour": im_file("RGB", rows(3), size=f"{WIDTH}, {HEIGHT}"),
        "colour-24": im_file("X 24", level(3).tobytes()),
        "colour-planes": im_file("RGB3", level(3).transpose(2, 0, 1).tobytes()),
        "transparent": im_file("RGBA", rows(4)),
        "transparent-grey": im_file("LA", rows(2)),
        "transparent-palette": im_file("PA", rows(2), lut),
        "padded": im_file("RGBX", rows(4)),
        "inks": im_file("CMYK", rows(4)),
        "ycc": im_file("YCC", rows(3)),
        "16-bits": im_file("L 16", (grey.astype("<u2") * 257).tobytes()),
        "16-bits-big-endian": im_file("L 16B", (grey.astype(">u2") * 257).tobytes()),
        "number-8-signed": im_file("L 8S", grey.tobytes()),
        "number-32": im_file("L 32S", (grey.astype("<i4") * 2 - 50).astype("<i4").tobytes()),
        "float": im_file("L 32F", (grey * 1.3 - 20).astype("<f4").tobytes()),
        "5-bits": im_file("L*5", five),
    }


def msp_file(mark, data):
    words = [*struct.unpack("<2H", mark), WIDTH, HEIGHT, 1, 1, 1, 1, WIDTH, HEIGHT]
    checksum = 0
    for word in words:
        checksum ^= word
    return struct.pack("<16H", *words, 0, 0, checksum, 0, 0, 0) + data


def msp():
    rows = packed(level(1, 1), 1)
    runs = [b"", *(b"\0\2\xa5" if y % 2 else b"\2" + row for y, row in enumerate(rows[1:]))]
    lengths = struct.pack(f"<{HEIGHT}H", *map(len, runs))
    return {"bits": msp_file(b"DanM", b"".join(rows)), "bits-runs": msp_file(b"LinS", lengths + b"".join(runs))}


def spider_file(order, samples, stack=0):
    length = 4 * WIDTH * -(-1024 // (4 * WIDTH))
    numbers = {1: 1, 2: HEIGHT, 5: 1, 12: WIDTH, 13: length // (4 * WIDTH), 22: length, 23: 4 * WIDTH, 24: stack, 26: 1}
    head = struct.pack(f"{order}{length // 4}f", *(numbers.get(place, 0) for place in range(1, length // 4 + 1)))
    return head * (2 if stack else 1) + samples.astype(f"{order}f4").tobytes()


def programs():
    """Formats of single programs."""
    grey = level(1)[:, :, 0]
    floats = grey * 1.3 - 20
    size = struct.pack("<4H", HEIGHT, WIDTH, HEIGHT, WIDTH)
    pixar = (b"\x80\xe8\0\0".ljust(416, b"\0") + size + struct.pack("<2H", 14, 2)).ljust(1024, b"\0")
    gbr = lambda version, channels, end: struct.pack(">5I", 20 + len(end), version, WIDTH, HEIGHT, channels) + end
    area = lambda size: [0, 4, 0, 0, 0, 0, 0, 0, HEIGHT, WIDTH, size, 0, 0, 1, 4, *[0] * 18, 256, *[0] * 30]
    mcidas = lambda size, kind: struct.pack(">64i", *area(size)) + b"".join(
        b"line" + row.astype(kind).tobytes() for row in grey.astype(np.int64) * (1 if size == 1 else 200)
    )
    return {
        "spider": {"big-endian": spider_file(">", floats), "stack": spider_file("<", floats, 2)},
        "pixar": {"colour": pixar + level(3).tobytes()},
        "xvthumb": {"comments": b"P7 332\n#XVVERSION:3.10a\n#END_OF_COMMENTS\n11 7 255\n" + grey.tobytes()},
        "gbr": {
            "grey": gbr(1, 1, b"name\0") + grey.tobytes(),
            "transparent": gbr(2, 4, b"GIMP\0\0\0\x0aname\0") + level(4).tobytes(),
        },
        "imt": {"grey": b"*comment\nwidth 11\nheight 7\npixel n8\n\x0c" + grey.tobytes()},
        "mcidas": {"grey": mcidas(1, ">u1"), "16-bits": mcidas(2, ">u2"), "32-bits": mcidas(4, ">i4")},
    }


def pcd(orientation):
    """A picture whose bytes a test makes anew; it is too long to be kept."""
    at = np.arange(96 * 2048 + 768 * 512 * 3 // 2, dtype=np.uint32)
    data = bytearray(((at * at * 7 >> 9) + (at >> 4) & 255).astype(np.uint8).tobytes())
    data[:2048] = b"\xff" * 2048
    data[2048:2052] = b"PCD_"
    data[2048 + 1538] = orientation
    return bytes(data)


def refused():
    """name -> bytes of files that Pillow refuses."""
    size = f"{WIDTH} {HEIGHT}".encode()
    grey, rgb = level(1), level(3)
    over = bytes([0x80 | WIDTH]) + b"\7"
    png = saved(Image.fromarray(level(4)).resize((16, 16)), "PNG")
    two_rows = pcx_file(1, 8, [[bytes(12)]] * HEIGHT)[:128] + b"\xff\7" * 40
    return {
        "pnm-bit-of-2": b"P1\n" + size + b"\n" + b"012" * 40,
        "pnm-beyond-the-largest": b"P2\n" + size + b"\n100\n" + b"101 " * 100,
        "pnm-below-0": b"P2\n" + size + b"\n100\n" + b"-1 " * 100,
        "pnm-largest-of-0": b"P5\n" + size + b"\n0\n" + grey.tobytes(),
        "pnm-colour-float": b"PF\n" + size + b"\n-1.0\n" + rgb.astype("<f4").tobytes(),
        "pnm-pam": b"P7\nWIDTH 11\nHEIGHT 7\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + rgb.tobytes(),
        "tga-run-across-rows": tga_file(11, 8, over * HEIGHT),
        "tga-15-bits": tga_file(2, 15, bytes(2 * WIDTH * HEIGHT)),
        "tga-map-of-colours": tga_file(2, 24, rgb.tobytes(), map_=(0, 20, 24)),
        "pcx-run-across-rows": two_rows + bytes(800),
        "sun-bits-map": sun_file(1, 1, packed(level(1, 1), 1), bytes(6)),
        "psd-16-bits": psd_file(3, [[bytes(2 * WIDTH)] * HEIGHT] * 3, bits=16),
        "psd-too-few-channels": psd_file(3, [[bytes(WIDTH)] * HEIGHT] * 2),
        "sgi-two-channels": sgi_file(level(2)),
        "icns-jpeg-2000-cut": icns_file([(b"ic11", b"\0\0\0\x0cjP  \r\n\x87\n")]),
        "icns-unknown-file": icns_file([(b"ic11", b"GIF89a" + bytes(20))]),
        "icns-file-and-short-pixels": icns_file([(b"icp4", png), (b"is32", bytes(30))]),
        "fits-64-bits": fits_file(64, level(1)[:, :, 0]),
        "fits-without-picture": fits_part(FITS, {"BITPIX": 8, "NAXIS": 0}).ljust(3000),
        "fits-gzip-32-bits": fits_gzip(32, level(1)[:, :, 0]),
        "fli-prefix": fli_file((16, grey.tobytes()), frame=0xF100),
        "fli-row-too-long": fli_file((15, b"\1\x0c\0" * HEIGHT)),
        "dcx-without-pages": dcx_file(),
        "msp-checksum": b"LinS" + bytes(range(60)),
        "pixar-other-channels": b"\x80\xe8\0\0" + bytes(2000),
        "spider-impossible-stack": spider_file("<", grey, -1),
        "iptc-without-pixels": b"\x1c\3\x3c\0\2\1\0\x1c\x08\x0a\0\1\0",
        "grib": b"GRIB" + bytes(40),
        "bufr": b"BUFR" + bytes(40),
        "emf": struct.pack("<10i", 1, 100, 0, 0, 9, 9, 0, 0, 900, 900) + b" EMF" + bytes(60),
        "xpm-named-colour": xpm_file(10, 1, False).replace(b"#000000", b"black"),
    }


def misread():
    """name -> bytes and pixels of files that Pillow reads to noise."""
    bits, grey = level(1, 1), level(1).astype(np.int64)
    palette = b"\0\0\0\0\xff\xff\xff\0"
    page = pcx()["palette"]
    first = np.asarray(opened(page).convert("RGB"))
    return {
        "dib-two-greys-of-8-bits": (bmp(8, bmp_rows(packed(bits, 8)), palette=palette, used=2)[14:], bits * 255),
        "fits-16-bits-without-sign": (fits_file(16, grey - 32768, BZERO=32768)[: 2880 + 154], grey[::-1]),
        "fits-16-bits-negative": (fits_file(16, grey - 100), np.maximum(grey - 100, 0)[::-1]),
        "fits-32-bits-without-sign": (fits_file(32, grey - 2**31, BZERO=2.0**31), grey[::-1]),
        "dcx-two-palettes": (dcx_file(page, page[:-768] + bytes(768)), first),
    }


def refused_though_read():
    """name -> bytes of files that Pillow reads to noise, and that are refused."""
    table = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 9}
    return {
        "fits-table": fits_part(FITS, {"NAXIS": 0}) + fits_part(("XTENSION", "'BINTABLE'"), table) + bytes(80),
        "im-4-bits-without-palette": im_file("B4", bytes(range(6 * HEIGHT))),
    }


def files():
    """name -> bytes of files that Pillow reads."""
    formats = {"pnm": pnm(), "tga": tga(), "pcx": pcx(), "sgi": sgi(), "sun": sun(), "psd": psd(), "ico": ico()}
    formats |= {"cur": cur(), "icns": icns(), "dib": dib(), "qoi": qoi()} | x11()
    formats |= {"fits": fits(), "fli": fli(), "dcx": dcx(), "im": im(), "msp": msp()} | programs()
    return {f"{format_}-{name}": data for format_, named in formats.items() for name, data in named.items()}


def opened(data):
    """As Pillow reads a file on disk, some kinds of which it reads differently in memory; `None` if it refuses."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            picture = Image.open(file.name)
            picture.load()
        except (NotImplementedError, OSError, SyntaxError, ValueError):
            return None
        return picture


def on_white(picture):
    """`None` for a picture without transparency."""
    if picture.mode not in ("LA", "PA", "RGBA") and "transparency" not in picture.info:
        if picture.palette is None or picture.palette.mode != "RGBA":
            return None
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def readable_cuts(data):
    """[first length, last length, checksum of the pixels] of the beginnings of a file that Pillow reads."""
    ranges = []
    for length in range(1, len(data)):
        picture = opened(data[:length])
        if picture is None:
            continue
        checksum = zlib.crc32(picture.convert("RGB").tobytes())
        if ranges and ranges[-1][1:] == [length - 1, checksum]:
            ranges[-1][1] = length
        else:
            ranges.append([length, length, checksum])
    return ranges


def write(name, picture):
    array = np.asarray(picture)
    (FOLDER / f"{name}.ppm").write_bytes(b"P6\n%d %d\n255\n" % (array.shape[1], array.shape[0]) + array.tobytes())


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    transparent, deep, cuts = [], [], {}
    for name, data in (files() | refused() | refused_though_read()).items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
    for name, data in files().items():
        picture = opened(data)
        assert picture is not None, f"Pillow refuses {name}"
        write(name, picture.convert("RGB"))
        white = on_white(picture)
        if white is not None:
            transparent.append(name)
            write(f"{name}-on-white", white)
        elif picture.mode.startswith("I;16") or (picture.mode == "I" and name.startswith("pnm")):
            deep.append(name)
            write(f"{name}-high-byte", Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB"))
        # Of a codestream that is cut before its first tile Pillow makes a picture of grey, which is refused. FITS data
        # of less than 80 bytes are misread by it, and so are pages whose palette is not that of the file.
        if name not in ("icns-jpeg-2000-stream", "fits-grey", "fits-planes-behind", "fits-column", "dcx-palette"):
            cuts[name] = readable_cuts(data)
    for name, (data, pixels) in misread().items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
        pixels = np.broadcast_to(pixels, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        write(name, pixels)
        assert (np.asarray(opened(data).convert("RGB")) != pixels).any(), f"Pillow reads {name} by now"
    for name, data in refused().items():
        assert opened(data) is None, f"Pillow reads {name} by now"
    manifest = {
        "made_by": "scripts/golden/golden_rare_formats.py",
        "pillow": PIL.__version__,
        "read": sorted(files()),
        "transparent": sorted(transparent),
        "deep": sorted(deep),
        "refused": sorted(refused()),
        "misread": sorted(misread()),
        "refused_though_read": sorted(refused_though_read()),
        "photo_cd": [zlib.crc32(opened(pcd(orientation)).convert("RGB").tobytes()) for orientation in range(4)],
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (FOLDER / "cuts.json").write_text(json.dumps(cuts, sort_keys=True, separators=(",", ":")) + "\n")
    print(f"{len(list(FOLDER.iterdir()))} files, {sum(path.stat().st_size for path in FOLDER.iterdir())} bytes")


if __name__ == "__main__":
    main()
