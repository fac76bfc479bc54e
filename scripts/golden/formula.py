"""The formula of weights and inputs, and the files of goldens. `golden.py` describes both."""

from __future__ import annotations

import datetime
import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FORMULA = 1


def hashes(key: str, count: int) -> np.ndarray:
    """The first `count` 64-bit numbers of a key."""
    start = 0xCBF29CE484222325
    for byte in key.encode():
        start = ((start ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(start) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a key in [0, 1), as f64."""
    return ((hashes(key, math.prod(shape)) >> np.uint64(40)) * 2.0**-24).reshape(shape)


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of the variable `{layer}/{variable}` in the Keras layout."""
    u = uniform(key, shape)
    match key.rpartition("/")[2]:
        case "kernel":
            value = (2 * u - 1) * math.sqrt(6 / math.prod(shape[:-1]))
        case "pointwise_kernel":
            value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[:-1]))
        case "depthwise_kernel":
            value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[:2]))
        case "bias" | "beta" | "moving_mean":
            value = (2 * u - 1) * 0.1
        case "gamma" if key.endswith("_3_bn/gamma"):
            value = (0.5 + u) / 2
        case "gamma" | "moving_variance":
            value = 0.5 + u
        case variable:
            raise ValueError(f"{key}: no formula for a variable named {variable}")
    return value.astype(np.float32)


def picture(shape: tuple[int, ...]) -> np.ndarray:
    """The NHWC input of a shape."""
    return (2 * uniform(f"input/{dimensions(shape)}", shape) - 1).astype(np.float32)


def dimensions(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def digits(value: float) -> float:
    """Nine significant digits: enough to give an f32 back exactly."""
    return float(f"{value:.9g}")


def norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values.astype(np.float64).ravel()))


def record(stage: str, values: np.ndarray, samples: int | None) -> dict:
    """One stage: its shape, norm and samples, or all its values when `samples` is None."""
    flat = values.ravel()
    entry = {"stage": stage, "shape": list(values.shape), "norm": digits(norm(values))}
    if samples is None:
        entry["values"] = [digits(value) for value in flat]
    else:
        positions = hashes(f"sample/{stage}/{dimensions(values.shape)}", samples) % np.uint64(flat.size)
        entry["samples"] = [digits(value) for value in flat[positions]]
    return entry


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def render(document: dict) -> str:
    """JSON with one line for every member of the document and for every record of a list."""
    members = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n" + ",\n".join(map(compact, value)) + "\n]"
        else:
            text = compact(value)
        members.append(f"{compact(key)}:{text}")
    return "{\n" + ",\n".join(members) + "\n}\n"


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def difference(old: dict, new: dict) -> str:
    """How two goldens differ, in words for the terminal."""
    before, after = list(leaves(old)), list(leaves(new))
    if len(before) != len(after):
        return f"{len(before)} values, now {len(after)}"
    numbers, others = [0.0], 0
    for a, b in zip(before, after):
        if isinstance(a, float) and isinstance(b, float):
            numbers.append(abs(a - b) / max(abs(a), abs(b), 1e-30))
        else:
            others += a != b
    return f"largest relative difference of a number {max(numbers):.1e}, {others} other values differ"


class Goldens:
    """The folder of goldens: writes new files, reports those that differ, overwrites them only with `--accept`."""

    def __init__(self, folder: Path, accept: bool, script: str, versions: dict[str, str]) -> None:
        self.folder = folder
        self.accept = accept
        self.script = script
        self.versions = versions
        self.refused = 0

    def settle(self, file: str, generator: str, content: dict, **versions: str) -> None:
        path = self.folder / file
        packed = path.suffix == ".gz"
        meta = {
            **self.versions,
            "numpy": np.__version__,
            **versions,
            "formula": FORMULA,
            "command": f"python scripts/golden/{self.script} --only {generator}",
            "date": datetime.date.today().isoformat(),
        }
        document = {"meta": meta} | content
        if path.exists():
            text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
            old = json.loads(text)
            # The date is that of the last change: a run that finds the same numbers leaves the file's bytes alone.
            meta["date"] = old["meta"]["date"]
            if render(document) == text:
                print(f"same     {file}")
                return
            meta["date"] = datetime.date.today().isoformat()
            if not self.accept:
                self.refused += 1
                print(f"DIFFERS  {file}: {difference(old, json.loads(render(document)))}")
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        written = render(document).encode()
        path.write_bytes(gzip.compress(written, 9, mtime=0) if packed else written)
        print(f"written  {file}")


def case_file(name: str, batch: int, height: int, width: int) -> str:
    return f"network/{name}-{height}x{width}-b{batch}.json"
