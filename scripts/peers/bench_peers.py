#!/usr/bin/env python3
"""Times this project's networks against other engines. `bench_peers.sh` builds what it needs and starts it.

Every engine runs in a process of its own, on the same processors and as many threads, in turn: round after round, each
round in another order. Disturbances affect all engines alike, so that on a busy machine only the ratios mean anything.
An engine's times count only if its outputs equal ours to within 1e-5 (the norm of the difference by the norm).

Three things are measured:

    times            median, least and most of all runs of all rounds, a picture, after a warm-up; the ratio is that of
                     two medians of one round, ours by theirs, of which the table shows the median of all rounds
    memory           the most a process had in memory while it did that (Linux's VmHWM), the interpreter included
    first prediction from the start of a process to its end, with one picture's outputs written to a file in between;
                     all files are in the page cache

Results exclude engines that failed, differed or did not answer within a quarter of an hour; the table says why. OUT
holds table.md, times.csv with every run, result.json with versions and options, and chart.png; for several networks a
folder of these for each, and a table.md of all ratios. An interrupted comparison leaves nothing there.

All engines run Xception. ONNX Runtime and OpenVINO also run the other networks of the zoo, on the ONNX file that
`xception convert` writes.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# --help and --list-engines work without NumPy.
with contextlib.suppress(ImportError):
    import numpy as np

    import bench_engines

OURS = "xception"
EVERYTHING = ("onnxruntime", "openvino", "litert", "ncnn", "tensorflow", "torch")
# Whose files bench_engines.py makes itself, for all engines.
XCEPTION = "xception"
# The engines of the other networks.
OF_ANY_NETWORK = ("onnxruntime", "openvino")
# The paper's Table 1 (arXiv 1610.02357), and the two of the family with the best accuracy.
NETWORKS = ("vgg16", "resnet50", "resnet152", "inception_v3", XCEPTION, "xception41p", "xception65p")
TOLERANCE = 1e-5
PATIENCE = 15 * 60  # Seconds that a process may take: none takes minutes, so it hangs.
SCRIPT = pathlib.Path(__file__).with_name("bench_engines.py")
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Facts that this safetensors file leaves open.
CONVERT_OPTIONS = [
    "--variant", "keras", "--pooling", "average", "--size", "299x299", "--head", "softmax", "--scaling", "tf",
]


class Failed(Exception):
    """A process ended badly, or with other outputs than ours."""


# ---------------------------------------------------------------------------------------------------- the machine


def processor() -> str:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        return re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)[1].strip()
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def busy() -> float:
    """How many processors others use, over two seconds; 0 where the system doesn't say."""

    def used() -> float:
        # proc_stat(5): user, nice, system, idle, iowait, ... in hundredths of a second.
        user, nice, system = pathlib.Path("/proc/stat").read_text().split()[1:4]
        return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")

    try:
        before = used()
        time.sleep(2)
        return (used() - before) / 2
    except OSError:
        return 0.0


def processors(threads: int) -> set[int] | None:
    """As many processors as threads, one of each core first; None where a process cannot be bound to them."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores: dict[str, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            core = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            core = str(cpu)
        cores.setdefault(core, []).append(cpu)
    by_core = sorted((index, cpu) for siblings in cores.values() for index, cpu in enumerate(siblings))
    return {cpu for _, cpu in by_core[:threads]}


# ---------------------------------------------------------------------------------------------------- the processes


def run(command: list, threads: int, environment: dict[str, str] | None = None, patience: int = PATIENCE) -> str:
    """The standard output of a process on `threads` processors. Its children are ended when this returns or raises."""
    chosen = processors(threads)
    mine = os.sched_getaffinity(0) if chosen else None
    if chosen:
        os.sched_setaffinity(0, chosen)
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **(environment or {})},
            start_new_session=True,
        )
    except OSError as problem:
        raise Failed(f"{command[0]} doesn't start: {problem.strerror}") from None
    finally:
        if mine:
            os.sched_setaffinity(0, mine)
    try:
        output, errors = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"it had not ended after {patience // 60} minutes") from None
    finally:
        # Whatever happened, Ctrl-C too: the process and what it has started, such as compilers.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        print(errors, end="", file=sys.stderr, flush=True)
        if process.returncode < 0:
            raise Failed(f"it was ended by signal {-process.returncode}")
        raise Failed((errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
    return output


class Contest:
    def __init__(self, args, network: str, scratch: pathlib.Path):
        self.args = args
        self.name = network
        self.scratch = scratch
        self.network = args.cache / "networks" / network
        self.record = self.network / OURS / "network.bpk"
        self.engines = [OURS, *args.engines]
        self.busy = busy()
        self.commit = git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else "")
        name, ours, *_ = [*run([args.xception, "--version"], 1).split(), "", ""]
        if name != OURS:
            raise Failed(f"{args.xception} is not this project's program")
        theirs = {engine: importlib.metadata.version(packages(engine)[0]) for engine in args.engines}
        self.versions = {OURS: ours, **theirs}
        # Why an engine is out.
        self.failures: dict[str, str] = {}
        self.differences: dict[str, float] = {}
        self.first: dict[str, list[float]] = {engine: [] for engine in self.engines}
        # (engine, threads, batch) -> one entry a round.
        self.rounds: dict[tuple[str, int, int], list[dict]] = {}
        self.limits: dict[int, list[float]] = {}
        self.scaling: list[dict] = []

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def drop(self, engine: str, problem: Failed | str) -> None:
        if engine == OURS:
            sys.exit(f"error: xception failed: {problem}")
        self.say(f"warning: {engine} is out: {problem}")
        self.failures[engine] = str(problem)
        self.engines.remove(engine)
        # Its measurements are removed too, so that all files of the results have the same engines.
        del self.first[engine]
        self.differences.pop(engine, None)
        self.rounds = {key: rounds for key, rounds in self.rounds.items() if key[0] != engine}

    def engine_command(self, task: str, engine: str, *options) -> list:
        return [sys.executable, SCRIPT, task, engine, self.network, *options]

    def make(self, name: str, command: list, **made_from) -> None:
        """Fills a folder of the network by a command, unless it is filled already and was made from the same."""
        folder = self.network / name
        stamp = folder / "made_from.json"
        text = json.dumps(made_from, indent=1) + "\n"
        if stamp.exists() and stamp.read_text() == text:
            return
        self.say(f"making {folder}")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        run(command, os.cpu_count())
        stamp.write_text(text)

    def prepare_zoo_network(self) -> None:
        """Our record of a network with random weights, its ONNX file and pictures, made once."""
        program, record = self.args.xception, self.record
        try:
            command = [program, "summary", "--architecture", self.name, "--format", "json"]
            _, *size = json.loads(run(command, os.cpu_count()))["input"]
            maker = self.args.random_weights
            self.make(OURS, [maker, self.name, record], program=sha256(maker))
            exported = self.network / bench_engines.EXPORTED
            command = [program, "convert", record, exported]
            self.make("exported", command, record=sha256(record), program=sha256(program))
        except Failed as problem:
            sys.exit(f"error: {self.name} cannot be made: {problem}; is {program} built from this checkout?")
        count = max(*self.args.batch, 8)
        command = [sys.executable, SCRIPT, "inputs", self.network, "--pictures", count, "--size", *size]
        try:
            self.make("inputs", command, script=sha256(SCRIPT), pictures=count, size=size, packages=versions("numpy"))
        except Failed as problem:
            sys.exit(f"error: pictures cannot be made: {problem}; remove {self.args.cache} and start again")

    def prepare_xception(self) -> None:
        """Xception's weights, pictures and our record, made once."""
        script = sha256(SCRIPT)
        count = max(*self.args.batch, 8)
        command = [sys.executable, SCRIPT, "inputs", self.network, "--pictures", count]
        try:
            self.make("inputs", command, script=script, pictures=count, packages=versions("numpy", "safetensors"))
        except Failed as problem:
            sys.exit(f"error: weights and pictures cannot be made: {problem}; remove {self.args.cache} and start again")

        weights = self.network / bench_engines.WEIGHTS
        inputs = sha256(weights)
        command = [self.args.xception, "convert", weights, self.record, *CONVERT_OPTIONS]
        try:
            self.make(OURS, command, weights=inputs, program=sha256(self.args.xception), options=CONVERT_OPTIONS)
        except Failed as problem:
            program = self.args.xception
            sys.exit(f"error: {program} cannot convert the weights: {problem}; is it built from this checkout?")

    def prepare(self) -> None:
        """Every engine's files of the network, made once."""
        if self.name == XCEPTION:
            self.prepare_xception()
        else:
            self.prepare_zoo_network()
        weights = bench_engines.WEIGHTS if self.name == XCEPTION else bench_engines.EXPORTED
        script, inputs = sha256(SCRIPT), sha256(self.network / weights)
        _, *self.size, _ = np.load(self.network / bench_engines.PICTURES, mmap_mode="r").shape
        for engine in self.args.engines:
            command = self.engine_command("prepare", engine)
            try:
                self.make(engine, command, weights=inputs, script=script, packages=versions("numpy", *packages(engine)))
            except Failed as problem:
                self.drop(engine, f"its files of the network cannot be made: {problem}")

    def reference(self) -> None:
        """Our outputs, which every engine's are compared with."""
        self.expected = {}
        for batch in {1, *self.args.batch}:
            images, output = self.scratch / f"{batch}.npy", self.scratch / f"expected-{batch}.npy"
            np.save(images, np.load(self.network / bench_engines.PICTURES, mmap_mode="r")[:batch])
            command = [self.args.xception, "run", images, "--weights", self.record, "--output", output]
            try:
                run([*command, "--batch-size", batch], os.cpu_count())
            except Failed as problem:
                self.drop(OURS, problem)
            self.expected[batch] = np.load(output).astype(np.float64)
            norm = np.linalg.norm(self.expected[batch])
            if not (np.isfinite(norm) and norm > 0):
                sys.exit("error: our outputs are not numbers")

    def check(self, engine: str, batch: int, output: pathlib.Path) -> None:
        """Raises `Failed` for outputs that are not ours."""
        expected = self.expected[batch]
        found = np.load(output).astype(np.float64)
        if found.shape != expected.shape:
            raise Failed(f"its outputs have shape {found.shape}, ours {expected.shape}")
        difference = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        if not difference <= TOLERANCE:
            raise Failed(f"its outputs differ from ours by {difference:.1e}, more than {TOLERANCE:.0e}")
        self.differences[engine] = max(difference, self.differences.get(engine, 0.0))

    def in_turn(self, index: int) -> list[str]:
        """The engines, each round beginning with another."""
        start = index % len(self.engines)
        return self.engines[start:] + self.engines[:start]

    def predict_first(self, engine: str) -> None:
        threads = max(self.args.threads)
        output = self.scratch / "first.npy"
        output.unlink(missing_ok=True)
        if engine == OURS:
            images = self.scratch / "1.npy"
            command = [self.args.xception, "run", images, "--weights", self.record, "--output", output]
            command += ["--threads", threads]
        else:
            command = self.engine_command("predict", engine, "--threads", threads, "--output", output)
        start = time.perf_counter()
        run(command, threads)
        elapsed = time.perf_counter() - start
        self.check(engine, 1, output)
        self.first[engine].append(elapsed)

    def measure_first(self) -> None:
        for engine in list(self.engines):
            # Brings files into the page cache, and does not count.
            try:
                self.predict_first(engine)
                self.first[engine].clear()
            except Failed as problem:
                self.drop(engine, problem)
        for index in range(self.args.rounds):
            for engine in self.in_turn(index):
                try:
                    self.predict_first(engine)
                except Failed as problem:
                    self.drop(engine, problem)
        self.say("first predictions are measured")

    def measure(self) -> None:
        total = self.args.rounds * len(self.args.threads) * len(self.args.batch)
        done = 0
        for index in range(self.args.rounds):
            for threads in self.args.threads:
                for batch in self.args.batch:
                    for engine in self.in_turn(index):
                        try:
                            self.measure_one(engine, threads, batch, index)
                        except Failed as problem:
                            self.drop(engine, problem)
                    done += 1
                    self.say(f"{done} of {total}: round {index + 1}, {title(threads, batch)}")

    def measure_scaling(self) -> None:
        """Ours alone by batch, threads and size."""
        command = [self.args.xception, "bench", "--weights", self.record, "--scaling", "--format", "json"]
        try:
            report = json.loads(run(command, os.cpu_count()))
        except Failed as problem:
            self.drop(OURS, problem)
        for row in report["rows"]:
            times = [time / row["batch_size"] for time in row["times_ms"]]
            self.scaling.append(
                {
                    **{name: row[name] for name in ("threads", "batch_size", "height", "width")},
                    "median_ms": row["ms_per_picture"],
                    "min_ms": min(times),
                    "max_ms": max(times),
                    "limit_ms": row["ms_per_picture"] * row["share_of_limit"],
                }
            )
        self.say("batches, threads and sizes are measured")

    def measure_one(self, engine: str, threads: int, batch: int, index: int) -> None:
        # For a large batch as many as make twice the pictures, but never less than three.
        runs = max(3, 2 * self.args.runs // batch) if batch > 1 else self.args.runs
        if engine == OURS:
            command = [self.args.xception, "bench", "--weights", self.record, "--format", "json"]
            command += ["--threads", threads, "--batch-size", batch, "--runs", runs]
            report = json.loads(run(command, threads))
            [row] = report["rows"]
            [limit] = report["limits"]
            self.limits.setdefault(threads, []).append(limit["flops_per_second"])
            self.flops = 2 * report["multiply_adds"]
            times, peak = row["times_ms"], report["peak_memory_bytes"]
        else:
            output = self.scratch / "logits.npy"
            output.unlink(missing_ok=True)
            command = self.engine_command("time", engine, "--output", output)
            command += ["--threads", threads, "--batch", batch, "--runs", runs]
            report = json.loads(run(command, threads).strip().splitlines()[-1])
            self.check(engine, batch, output)
            times, peak = report["times_ms"], report["peak_memory_bytes"]
        entry = {"round": index, "times": [time / batch for time in times], "peak": peak}
        self.rounds.setdefault((engine, threads, batch), []).append(entry)


def packages(engine: str) -> tuple[str, ...]:
    return bench_engines.ENGINES[engine].packages


def versions(*names: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}


def sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def title(threads: int, batch: int) -> str:
    return f"{threads} thread{'s'[: threads != 1]}, batch {batch}"


# ---------------------------------------------------------------------------------------------------- the report


def summary(contest: Contest) -> dict:
    """All figures of the tables."""
    args = contest.args
    configurations = []
    for threads in args.threads:
        for batch in args.batch:
            limit = statistics.median(contest.limits[threads])
            ideal = contest.flops / limit * 1e3
            ours = {entry["round"]: entry for entry in contest.rounds[OURS, threads, batch]}
            rows = []
            for engine in contest.engines:
                rounds = contest.rounds[engine, threads, batch]
                times = sorted(time for entry in rounds for time in entry["times"])
                ratios = [
                    statistics.median(ours[entry["round"]]["times"]) / statistics.median(entry["times"])
                    for entry in rounds
                ]
                peaks = [entry["peak"] for entry in rounds if entry["peak"]]
                rows.append(
                    {
                        "engine": engine,
                        "median_ms": statistics.median(times),
                        "min_ms": times[0],
                        "max_ms": times[-1],
                        "runs": len(times),
                        "ours_by_theirs": statistics.median(ratios),
                        "ours_by_theirs_min": min(ratios),
                        "ours_by_theirs_max": max(ratios),
                        "median_by_limit": statistics.median(times) / ideal,
                        "peak_memory_bytes": max(peaks, default=None),
                    }
                )
            rows.sort(key=lambda row: row["median_ms"])
            configurations.append(
                {"threads": threads, "batch": batch, "limit_gflops": limit / 1e9, "limit_ms": ideal, "rows": rows}
            )
    first = {
        engine: {"median_s": statistics.median(times), "min_s": min(times), "max_s": max(times)}
        for engine, times in contest.first.items()
    }
    return {
        "network": contest.name,
        "size": contest.size,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": contest.commit,
        "versions": contest.versions,
        "engines": args.engines,
        "threads": args.threads,
        "batch": args.batch,
        "rounds": args.rounds,
        "runs": args.runs,
        "busy_at_start": contest.busy,
        "largest_difference": contest.differences,
        "failures": contest.failures,
        "configurations": configurations,
        "scaling": contest.scaling,
        "first_prediction": first,
        "first_prediction_threads": max(args.threads),
    }


def git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def table(rows: list[list[str]]) -> str:
    """Markdown that is a table for the eye as well; all columns but the first stand on the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells):
        first, *others = cells
        aligned = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:]))
        return " | ".join([f"| {first:<{widths[0]}}", *aligned]) + " |"

    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def by(size: list[int]) -> str:
    height, width = size
    return f"{height} x {width}"


def overall(results: list[dict]) -> str:
    """Our time and memory by those of the engine that is best at each, for every network."""
    first, *_ = results
    cases = [(case["threads"], case["batch"]) for case in first["configurations"]]
    rows = [["network", *(title(*case) for case in cases), *(f"memory, batch {batch}" for batch in first["batch"])]]
    for result in results:
        row, memory = [result["network"]], {}
        for case in result["configurations"]:
            ours, theirs = split(case["rows"])
            best = max(theirs, key=lambda row: row["ours_by_theirs"], default=None)
            row.append(f"{best['ours_by_theirs']:.2f}, {best['engine']}" if best else "-")
            peaks = memory.setdefault(case["batch"], [])
            measured = [row["peak_memory_bytes"] for row in theirs if row["peak_memory_bytes"]]
            peaks += [ours["peak_memory_bytes"] / peak for peak in measured]
        rows.append([*row, *(f"{max(peaks):.2f}" if peaks else "-" for peaks in memory.values())])
    return "Ours by the best of the others:\n\n" + table(rows) + "\n"


def split(rows: list[dict]) -> tuple[dict, list[dict]]:
    """Our row, and the others."""
    [ours] = (row for row in rows if row["engine"] == OURS)
    return ours, [row for row in rows if row["engine"] != OURS]


def megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.0f}"


def markdown(result: dict) -> str:
    versions = result["versions"]

    def name(engine):
        return f"{engine} {versions[engine]}"

    parts = [
        f"{result['processor']}, {result['processors']} processors, {result['system']}; {result['date'][:10]}; "
        f"{result['rounds']} rounds, commit {result['commit'] or 'unknown'}. "
        f"Times are milliseconds a picture of {by(result['size'])} through {result['network']}."
    ]
    if result["busy_at_start"] > 0.1:
        parts.append(
            f"**Other programs kept {result['busy_at_start']:.1f} processors busy when this began: only the ratios say "
            "something.**"
        )
    for configuration in result["configurations"]:
        rows = [["engine", "median", "least", "most", "ours / theirs", "of rounds", "by the limit", "peak MB"]]
        for row in configuration["rows"]:
            ours = row["engine"] == OURS
            rows.append(
                [
                    name(row["engine"]),
                    f"{row['median_ms']:.1f}",
                    f"{row['min_ms']:.1f}",
                    f"{row['max_ms']:.1f}",
                    "" if ours else f"{row['ours_by_theirs']:.3f}",
                    "" if ours else f"{row['ours_by_theirs_min']:.3f} to {row['ours_by_theirs_max']:.3f}",
                    f"{row['median_by_limit']:.2f}",
                    megabytes(row["peak_memory_bytes"]),
                ]
            )
        heading = title(configuration["threads"], configuration["batch"])
        limit = f"limit {configuration['limit_ms']:.1f} ms, {configuration['limit_gflops']:.0f} GFLOP/s"
        parts += [f"### {heading}", table(rows), limit[0].upper() + limit[1:] + "."]

    rows = [["engine", "median s", "least", "most", "largest difference"]]
    for engine, times in sorted(result["first_prediction"].items(), key=lambda item: item[1]["median_s"]):
        difference = result["largest_difference"].get(engine)
        rows.append(
            [
                name(engine),
                f"{times['median_s']:.2f}",
                f"{times['min_s']:.2f}",
                f"{times['max_s']:.2f}",
                "" if engine == OURS else f"{difference:.1e}",
            ]
        )
    parts += [f"### First prediction, {title(result['first_prediction_threads'], 1)}", table(rows)]
    if result["scaling"]:
        rows = [["threads", "batch", "size", "median", "least", "most", "by the limit"]]
        for row in result["scaling"]:
            rows.append(
                [
                    str(row["threads"]),
                    str(row["batch_size"]),
                    f"{row['height']} x {row['width']}",
                    *(f"{row[time]:.1f}" for time in ("median_ms", "min_ms", "max_ms")),
                    f"{row['median_ms'] / row['limit_ms']:.2f}",
                ]
            )
        parts += ["### Ours by batch, threads and size", table(rows)]
    parts += [f"{name(engine)} is out: {problem}." for engine, problem in result["failures"].items()]
    return "\n\n".join(parts) + "\n"


def plotting():
    """matplotlib's pyplot, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def whiskers(rows: list[dict]) -> list[list[float]]:
    """How far the least and the most are from the median."""
    return [
        [row["median_ms"] - row["min_ms"] for row in rows],
        [row["max_ms"] - row["median_ms"] for row in rows],
    ]


def tidy(axis) -> None:
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def chart(result: dict, path: pathlib.Path) -> None:
    pyplot = plotting()
    configurations = result["configurations"]
    columns = min(2, len(configurations))
    lines = -(-len(configurations) // columns)
    height = 1.3 + 0.36 * max(len(configuration["rows"]) for configuration in configurations)
    figure, axes = pyplot.subplots(lines, columns, figsize=(5.2 * columns, height * lines), squeeze=False)
    for axis, configuration in zip(axes.flat, configurations):
        rows = sorted(configuration["rows"], key=lambda row: row["median_ms"], reverse=True)
        medians = [row["median_ms"] for row in rows]
        colours = ["#c1440e" if row["engine"] == OURS else "#8a9ba8" for row in rows]
        bars = axis.barh([row["engine"] for row in rows], medians, xerr=whiskers(rows), color=colours, ecolor="#444444")
        axis.bar_label(bars, [f"{median:.0f}" for median in medians], label_type="center", color="white")
        axis.axvline(configuration["limit_ms"], color="black", linestyle=":", linewidth=1)
        axis.set_title(title(configuration["threads"], configuration["batch"]), fontsize=10)
        axis.set_xlabel("ms a picture; dotted: the processor's limit", fontsize=8)
        tidy(axis)
    for axis in axes.flat[len(configurations) :]:
        axis.remove()
    network = f"{result['network']}, {by(result['size'])}"
    figure.suptitle(f"{network}, single precision; {result['processor']}, {result['date'][:10]}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def scaling_chart(result: dict, path: pathlib.Path) -> None:
    pyplot = plotting()
    # All rows have two of these in common with the first one.
    first, *_ = rows = result["scaling"]
    panels = [("batch_size", "pictures at once"), ("threads", "threads"), ("height", "height and width of a picture")]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(10.4, 3.2))
    for axis, (column, label) in zip(axes, panels):
        others = [name for name, _ in panels if name != column]
        alike = (row for row in rows if all(row[name] == first[name] for name in others))
        curve = sorted(alike, key=lambda row: row[column])
        places = [row[column] for row in curve]
        axis.plot(places, [row["limit_ms"] for row in curve], color="black", linestyle=":", linewidth=1)
        medians = [row["median_ms"] for row in curve]
        colours = {"color": "#c1440e", "ecolor": "#444444"}
        axis.errorbar(places, medians, yerr=whiskers(curve), marker="o", markersize=4, **colours)
        if column != "height":
            axis.set_xscale("log", base=2)
        axis.set_xticks(places, [str(place) for place in places], fontsize=8)
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel(label, fontsize=8)
        tidy(axis)
    axes[0].set_ylabel("ms a picture; dotted: the processor's limit", fontsize=8)
    figure.suptitle(
        f"xception by batch, threads and size, else {first['batch_size']} picture "
        f"of {first['height']} x {first['width']} on "
        f"{first['threads']} threads; {result['processor']}, {result['date'][:10]}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def write(contest: Contest, result: dict, text: str, folder: pathlib.Path) -> None:
    """Puts the results into a folder."""
    folder.mkdir()
    (folder / "table.md").write_text(text)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    with open(folder / "times.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["engine", "threads", "batch", "round", "run", "ms_per_picture"])
        for (engine, threads, batch), rounds in contest.rounds.items():
            for entry in rounds:
                for index, milliseconds in enumerate(entry["times"]):
                    writer.writerow([engine, threads, batch, entry["round"], index, f"{milliseconds:.3f}"])
    chart(result, folder / "chart.png")
    if result["scaling"]:
        scaling_chart(result, folder / "scaling.png")


# ---------------------------------------------------------------------------------------------------- the command


def numbers(text: str) -> list[int]:
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("expected numbers from 1 on, separated by commas")
    return list(dict.fromkeys(values))


def number(text: str) -> int:
    [value] = numbers(text)
    return value


def networks(text: str) -> list[str]:
    return list(NETWORKS) if text == "all" else list(dict.fromkeys(text.split(",")))


def names(text: str) -> list[str]:
    if text == "all":
        return list(EVERYTHING)
    found = list(dict.fromkeys(text.split(",")))
    for name in found:
        if name not in EVERYTHING:
            raise argparse.ArgumentTypeError(f"there is no engine '{name}'; there are {', '.join(EVERYTHING)}, and all")
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_peers.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--engines",
        type=names,
        help=f"of {', '.join(EVERYTHING)}, or all [default: without torch; quick: without tensorflow as well; for "
        f"other networks than xception: {' and '.join(OF_ANY_NETWORK)}, which alone run these]",
    )
    parser.add_argument(
        "--network",
        type=networks,
        default=[XCEPTION],
        help="the network, of those that `xception summary --help` lists, or several, separated by commas; all: "
        f"{', '.join(NETWORKS)} [default: xception]",
    )
    parser.add_argument("--threads", type=numbers, help="numbers of threads [default: 1,2]")
    parser.add_argument("--batch", type=numbers, default=[1, 8], help="batch sizes [default: 1,8]")
    parser.add_argument("--rounds", type=number, help="times that every engine has its turn [default: 5; quick: 3]")
    parser.add_argument("--runs", type=number, help="runs of one picture in a turn [default: 15; quick: 8]")
    parser.add_argument("--quick", action="store_true", help="fewer engines, rounds and runs, no scaling")
    parser.add_argument(
        "--out", type=pathlib.Path, help="new folder for the results [default: benches/runs/DATE-TIME-PROCESSOR]"
    )
    # What bench_peers.sh asks and says.
    parser.add_argument("--list-engines", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--xception", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--random-weights", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.network != [XCEPTION]:
        args.engines = args.engines or list(OF_ANY_NETWORK)
        for engine in args.engines:
            if engine not in OF_ANY_NETWORK:
                parser.error(f"argument --engines: {engine} runs xception alone; leave out --network")
    args.engines = args.engines or list(EVERYTHING[: 4 if args.quick else 5])
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.runs = args.runs or (8 if args.quick else 15)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    args.threads = args.threads or sorted({1, min(2, available)})
    if max(args.threads) > available:
        parser.error(f"argument --threads: there are {available} processors")
    machine = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    network = "" if args.network == [XCEPTION] else args.network[0] if len(args.network) == 1 else "networks"
    folder = "-".join(filter(None, [f"{datetime.datetime.now():%Y-%m-%d-%H%M}", network, machine, str(available)]))
    args.out = (args.out or REPOSITORY / "benches" / "runs" / folder).absolute()
    args.xception = args.xception and args.xception.absolute()
    args.random_weights = args.random_weights and args.random_weights.absolute()
    if args.out.exists():
        parser.error(f"argument --out: {args.out} exists")
    if not args.list_engines and not (args.xception and args.random_weights and args.cache):
        parser.error("start scripts/peers/bench_peers.sh, which builds what is compared")
    return args


def compare(args, network: str, scratch: pathlib.Path, out: pathlib.Path) -> dict:
    """Measures one network, and puts the results into a new folder `out`."""
    contest = Contest(args, network, scratch)
    contest.prepare()
    contest.reference()
    contest.measure_first()
    contest.measure()
    if args.network == [XCEPTION] and not args.quick:
        contest.measure_scaling()
    result = summary(contest)
    text = markdown(result)
    print(text)
    write(contest, result, text, out)
    return result


def stop(number: int, _) -> None:
    """Ends this process with a shell's exit status for the signal, but through every `finally`."""
    sys.exit(128 + number)


def main() -> None:
    args = arguments()
    if args.list_engines:
        print(*args.engines)
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup, say, one is ignored and stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        # Beside the results' place, so that they appear all at once; made before the runs, so that a folder that cannot
        # be written fails at once.
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="xception-bench-") as scratch,
            tempfile.TemporaryDirectory(prefix=".unfinished-", dir=args.out.parent) as unfinished,
        ):
            out = pathlib.Path(unfinished) / "results"
            if len(args.network) == 1:
                compare(args, args.network[0], pathlib.Path(scratch), out)
            else:
                out.mkdir()
                results = []
                for network in args.network:
                    folder = pathlib.Path(scratch, network)
                    folder.mkdir()
                    results.append(compare(args, network, folder, out / network))
                text = overall(results)
                print(text)
                (out / "table.md").write_text(text)
            out.rename(args.out)
            print(f"kept in {args.out}", file=sys.stderr, flush=True)
    except (Failed, OSError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
