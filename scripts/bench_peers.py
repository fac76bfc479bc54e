#!/usr/bin/env python3
"""Times this project's Xception against other engines. `bench_peers.sh` builds what it needs and starts it.

Every engine runs in a process of its own, on the same processors and as many threads, in turn: round after round, each round
in another order. What disturbs one disturbs all, so on a busy machine the ratios still say something, and nothing else does.
An engine's times count only if its outputs are ours to within 1e-5 (the norm of the difference by the norm).

Three things are measured:

    times            median, least and most of all runs of all rounds, a picture, after a warm-up; the ratio is that of two
                     medians of one round, ours by theirs, of which the table shows the median of all rounds
    memory           the most a process had in memory while it did that (Linux's VmHWM), the interpreter included
    first prediction from the start of a process to its end, with one picture's outputs written to a file in between;
                     all files are in the page cache

Under OUT appear table.md, times.csv with every run, result.json with versions and options, and chart.png.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

# Without NumPy there is still --help.
try:
    import numpy as np

    import bench_engines
    from bench_engines import ENGINES
except ImportError:
    np = None

OURS = "xception"
TOLERANCE = 1e-5
SCRIPT = pathlib.Path(__file__).with_name("bench_engines.py")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """An engine's process ended badly."""


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


def run(command: list, threads: int) -> str:
    """The standard output of a process on `threads` processors."""
    chosen = processors(threads)
    mine = os.sched_getaffinity(0) if chosen else None
    if chosen:
        os.sched_setaffinity(0, chosen)
    try:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    finally:
        if mine:
            os.sched_setaffinity(0, mine)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Failed(words[-1])
    return done.stdout


class Contest:
    def __init__(self, args, scratch: pathlib.Path):
        self.args = args
        self.scratch = scratch
        self.network = args.cache / "network"
        self.record = self.network / "xception.bpk"
        self.pictures = self.network / bench_engines.PICTURES
        self.engines = [OURS, *args.engines]
        # Why an engine is out.
        self.failures: dict[str, str] = {}
        self.differences: dict[str, float] = {}
        self.first: dict[str, list[float]] = {engine: [] for engine in self.engines}
        # (engine, threads, batch) -> one entry a round.
        self.rounds: dict[tuple[str, int, int], list[dict]] = {}
        self.limits: dict[int, list[float]] = {}

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def drop(self, engine: str, problem: Exception | str) -> None:
        if engine == OURS:
            sys.exit(f"error: xception failed: {problem}")
        self.say(f"warning: {engine} is out: {problem}")
        self.failures[engine] = str(problem)
        self.engines.remove(engine)

    def engine_command(self, task: str, engine: str, *options) -> list:
        return [sys.executable, SCRIPT, task, engine, self.network, *options]

    def prepare(self) -> None:
        """Every engine's file of the network, made once."""
        self.network.mkdir(parents=True, exist_ok=True)
        wanted = max(*self.args.batch, 8)
        if not self.pictures.exists() or len(np.load(self.pictures, mmap_mode="r")) < wanted:
            self.say("making weights and pictures")
            run([sys.executable, SCRIPT, "weights", self.network, "--pictures", wanted], os.cpu_count())
        weights = self.network / bench_engines.WEIGHTS
        if not self.record.exists():
            run([self.args.xception, "convert", weights, self.record, "--force", *CONVERT_OPTIONS], os.cpu_count())
        for engine in list(self.args.engines):
            stamp = self.network / f"{engine}.version"
            if stamp.exists() and stamp.read_text() == version(engine):
                continue
            self.say(f"making {engine}'s file of the network")
            try:
                run(self.engine_command("prepare", engine), os.cpu_count())
                stamp.write_text(version(engine))
            except Failed as problem:
                self.drop(engine, problem)

    def reference(self) -> None:
        """Our outputs, which every engine's are compared with."""
        self.expected = {}
        for batch in {1, *self.args.batch}:
            images, output = self.scratch / f"{batch}.npy", self.scratch / f"expected-{batch}.npy"
            np.save(images, np.load(self.pictures, mmap_mode="r")[:batch])
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
        self.differences[engine] = max(difference, self.differences.get(engine, 0.0))
        if not difference <= TOLERANCE:
            raise Failed(f"its outputs differ from ours by {difference:.1e}, more than {TOLERANCE:.0e}")

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
            except Failed as problem:
                self.drop(engine, problem)
            self.first[engine].clear()
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

    def measure_one(self, engine: str, threads: int, batch: int, index: int) -> None:
        # As long for a large batch as for a picture, but never less than three runs.
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


# What a safetensors file of ours may say itself, and this one doesn't.
CONVERT_OPTIONS = ["--variant", "keras", "--pooling", "average", "--size", "299x299"]


def version(engine: str) -> str:
    return importlib.metadata.version(ENGINES[engine].package)


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
        if engine in contest.engines
    }
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else ""),
        "versions": {OURS: ours_version(args.xception), **{engine: version(engine) for engine in args.engines}},
        "rounds": args.rounds,
        "busy_at_start": args.busy,
        "largest_difference": contest.differences,
        "failures": contest.failures,
        "configurations": configurations,
        "first_prediction": first,
        "first_prediction_threads": max(args.threads),
    }


def git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def ours_version(program: pathlib.Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[1]


def table(rows: list[list[str]]) -> str:
    """Markdown that is a table for the eye as well; all columns but the first stand on the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells):
        first, *others = cells
        return " | ".join([f"| {first:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:]))]) + " |"

    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.0f}"


def markdown(result: dict) -> str:
    versions = result["versions"]

    def name(engine):
        return f"{engine} {versions[engine]}"

    parts = [
        f"{result['processor']}, {result['processors']} processors, {result['system']}; {result['date'][:10]}; "
        f"{result['rounds']} rounds, commit {result['commit'] or 'unknown'}. Times are milliseconds a picture of 299 x 299."
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
    parts += [f"{engine} is out: {problem}." for engine, problem in result["failures"].items()]
    return "\n\n".join(parts) + "\n"


def chart(result: dict, path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    configurations = result["configurations"]
    columns = min(2, len(configurations))
    lines = -(-len(configurations) // columns)
    height = 1.3 + 0.36 * max(len(configuration["rows"]) for configuration in configurations)
    figure, axes = pyplot.subplots(lines, columns, figsize=(5.2 * columns, height * lines), squeeze=False)
    for axis, configuration in zip(axes.flat, configurations):
        rows = sorted(configuration["rows"], key=lambda row: row["median_ms"], reverse=True)
        medians = [row["median_ms"] for row in rows]
        whiskers = [
            [row["median_ms"] - row["min_ms"] for row in rows],
            [row["max_ms"] - row["median_ms"] for row in rows],
        ]
        colours = ["#c1440e" if row["engine"] == OURS else "#8a9ba8" for row in rows]
        bars = axis.barh([row["engine"] for row in rows], medians, xerr=whiskers, color=colours, ecolor="#444444")
        axis.bar_label(bars, [f"{median:.0f}" for median in medians], label_type="center", color="white")
        axis.axvline(configuration["limit_ms"], color="black", linestyle=":", linewidth=1)
        axis.set_title(title(configuration["threads"], configuration["batch"]), fontsize=10)
        axis.set_xlabel("ms a picture; dotted: the processor's limit", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(configurations) :]:
        axis.remove()
    figure.suptitle(f"Xception, 299 x 299, single precision; {result['processor']}, {result['date'][:10]}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def write(contest: Contest, out: pathlib.Path) -> str:
    result = summary(contest)
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(result)
    (out / "table.md").write_text(text)
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    with open(out / "times.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["engine", "threads", "batch", "round", "run", "ms_per_picture"])
        for (engine, threads, batch), rounds in contest.rounds.items():
            for entry in rounds:
                for index, milliseconds in enumerate(entry["times"]):
                    writer.writerow([engine, threads, batch, entry["round"], index, f"{milliseconds:.3f}"])
    chart(result, out / "chart.png")
    return text


# ---------------------------------------------------------------------------------------------------- the command


def numbers(text: str) -> list[int]:
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("expected numbers from 1 on, separated by commas")
    return list(dict.fromkeys(values))


def number(text: str) -> int:
    [value] = numbers(text)
    return value


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=names, default=[], help="onnxruntime, openvino, litert, ncnn, tensorflow, torch; or all")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="numbers of threads [default: 1,2]")
    parser.add_argument("--batch", type=numbers, default=[1, 8], help="batch sizes [default: 1,8]")
    parser.add_argument("--rounds", type=number, help="times that every engine has its turn [default: 5; quick: 3]")
    parser.add_argument("--runs", type=number, help="runs of one picture in a turn [default: 15; quick: 8]")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and runs, and no TensorFlow")
    parser.add_argument("--out", type=pathlib.Path, help="folder of the results [default: benches/runs/DATE-MACHINE]")
    parser.add_argument("--xception", type=pathlib.Path, help="our program; bench_peers.sh says")
    parser.add_argument("--cache", type=pathlib.Path, help="folder of the network's files; bench_peers.sh says")
    args = parser.parse_args()
    if np is None or not args.xception or not args.cache:
        parser.error("start scripts/bench_peers.sh, which builds what is compared")
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.runs = args.runs or (8 if args.quick else 15)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    args.threads = [threads for threads in args.threads if threads <= available] or [available]
    args.xception = args.xception.resolve()
    args.busy = busy()
    machine = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    out = args.out or REPOSITORY / "benches" / "runs" / f"{datetime.date.today()}-{machine}-{available}"

    with tempfile.TemporaryDirectory(prefix="xception-bench-") as scratch:
        contest = Contest(args, pathlib.Path(scratch))
        contest.prepare()
        contest.reference()
        contest.measure_first()
        contest.measure()
    print(write(contest, out))
    contest.say(f"kept in {out}")


if __name__ == "__main__":
    main()
