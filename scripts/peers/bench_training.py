#!/usr/bin/env python3
"""Times this project's training steps against other engines. `bench_peers.sh --train` builds what it needs and starts
it.

The network is Keras's Xception with 1,000 classes. A step is the forward pass, cross-entropy, the backward pass and an
update by SGD with momentum: of all weights with the statistics of the batch (full), or with the norms' own statistics
(frozen-statistics, what `xception train` does when it fine-tunes), or of the classifier alone (head).

Every measurement is a process of its own, on the same processors and with as many threads, in turn: round after round,
each round in another order. Disturbances affect all engines alike, so that on a busy machine only the ratios mean
anything. All engines begin with the same weights and pictures. Times count only if the first loss equals ours within
1e-5, and the second, which depends on every gradient, has changed as much as ours within 1 %. The third is not
compared: the second update amplifies the rounding of the first (docs/benchmarks.md has the losses in double precision,
which `training_engines.py float64` computes).

The other engines run twice: as they are, and with glibc told to keep freed memory (`MALLOC_MMAP_MAX_=0`,
`MALLOC_TRIM_THRESHOLD_` and `MALLOC_TOP_PAD_`), which saves them the time of getting it again.

OUT holds table.md, times.csv with every step, result.json with versions and options, and chart.png. An interrupted
comparison leaves nothing there.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import signal
import statistics
import sys
import tempfile

import bench_peers
from bench_peers import OURS, REPOSITORY, Failed, megabytes, processor, run, table, tidy

ENGINES = ("tensorflow", "torch")
TRAINS = ("full", "frozen-statistics", "head")
TOLERANCE = 1e-5
OF_CHANGE = 0.01
PATIENCE = 60 * 60  # Seconds that a process may take, with waiting for what --through waits for.
SCRIPT = pathlib.Path(__file__).with_name("training_engines.py")
# glibc serves large requests from its heap and gives none of it back.
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
KEEPING = ", memory kept"


class Training(bench_peers.Contest):
    """Entries are engines with a setting of memory: "torch", "torch, memory kept"."""

    def __init__(self, args, scratch):
        super().__init__(args, bench_peers.XCEPTION, scratch)
        self.entries = [OURS]
        for engine in args.engines:
            self.entries += [engine, engine + KEEPING]
        # (threads, size, what is trained) -> the losses of our first steps.
        self.losses: dict[tuple[int, int, str], list[float]] = {}
        self.flops: dict[int, float] = {}

    def cases(self):
        for size in self.args.sizes:
            for threads in self.args.threads:
                for trains in self.args.trains:
                    yield threads, size, trains

    def leave(self, entry: str, problem: Failed) -> None:
        if entry == OURS:
            sys.exit(f"error: xception failed: {problem}")
        self.say(f"warning: {entry} is out: {problem}")
        self.failures[entry] = str(problem)
        self.entries.remove(entry)
        self.differences.pop(entry, None)
        self.rounds = {key: rounds for key, rounds in self.rounds.items() if key[0] != entry}

    def measure(self) -> None:
        done, total = 0, self.args.rounds * len(list(self.cases()))
        for index in range(self.args.rounds):
            for threads, size, trains in self.cases():
                start = index % len(self.entries)
                order = self.entries[start:] + self.entries[:start]
                if index == 0:
                    # Ours comes first: the others' losses are compared with it.
                    assert order[0] == OURS
                for entry in order:
                    try:
                        self.measure_step(entry, (threads, size, trains), index)
                    except Failed as problem:
                        self.leave(entry, problem)
                done += 1
                self.say(f"{done} of {total}: round {index + 1}, {title(threads, size, trains)}")

    def measure_step(self, entry: str, case: tuple[int, int, str], index: int) -> None:
        threads, size, trains = case
        batch, steps = self.args.batch[0], self.args.steps
        through = shlex.split(self.args.through)
        if entry == OURS:
            command = [*through, self.args.xception, "bench", "--weights", self.record, "--train", "--format", "json"]
            command += ["--trains", trains, "--size", f"{size}x{size}", "--threads", threads]
            report = json.loads(run([*command, "--batch-size", batch, "--runs", steps], threads, patience=PATIENCE))
            [row], [limit] = report["rows"], report["limits"]
            self.limits.setdefault(threads, []).append(limit["flops_per_second"])
            self.flops[size] = 2 * report["multiply_adds"]
            self.losses.setdefault(case, row["losses"])
            found = row
        else:
            engine, environment = entry.removesuffix(KEEPING), KEPT if entry.endswith(KEEPING) else {}
            command = [*through, sys.executable, SCRIPT, engine, self.network, "--trains", trains, "--size", size]
            command += ["--batch", batch, "--threads", threads, "--steps", steps]
            output = run(command, threads, environment, PATIENCE)
            found = json.loads(output.strip().splitlines()[-1])
            self.compare(entry, case, found["losses"])
        times = found["times_ms"]
        result = {"round": index, "times": times, "peak": found["peak_memory_bytes"]}
        self.rounds.setdefault((entry, *case), []).append(result)

    def compare(self, entry: str, case: tuple[int, int, str], losses: list[float]) -> None:
        """Raises `Failed` for losses that are not ours."""
        ours = self.losses[case]
        for step, (found, expected) in enumerate(zip(losses[:2], ours[:2], strict=True)):
            most = max(TOLERANCE * expected, OF_CHANGE * abs(expected - ours[0]))
            if not abs(found - expected) <= most:
                raise Failed(f"loss {step + 1} of {title(*case)} is {found:.6f}, ours {expected:.6f}")
            difference = abs(found - expected) / expected
            self.differences[entry] = max(difference, self.differences.get(entry, 0.0))


def title(threads: int, size: int, trains: str) -> str:
    return f"{trains}, {size} x {size}, {threads} thread{'s'[: threads != 1]}"


def summary(contest: Training) -> dict:
    """All figures of the tables."""
    args = contest.args
    batch = args.batch[0]
    configurations = []
    for case in contest.cases():
        threads, size, trains = case
        limit = statistics.median(contest.limits[threads])
        # A step multiplies three times as often as a forward pass, without the gradient of the pictures.
        passes = 1 if trains == "head" else 3
        most = limit / (passes * contest.flops[size])
        ours = {entry["round"]: statistics.median(entry["times"]) for entry in contest.rounds[OURS, *case]}
        rows = []
        for name in contest.entries:
            rounds = contest.rounds[name, *case]
            times = [time for entry in rounds for time in entry["times"]]
            ratios = [statistics.median(entry["times"]) / ours[entry["round"]] for entry in rounds]
            peaks = [entry["peak"] for entry in rounds if entry["peak"]]
            speed = 1e3 * batch / statistics.median(times)
            rows.append(
                {
                    "engine": name,
                    "pictures_per_second": speed,
                    "least": 1e3 * batch / max(times),
                    "most": 1e3 * batch / min(times),
                    "ours_by_theirs": statistics.median(ratios),
                    "ours_by_theirs_min": min(ratios),
                    "ours_by_theirs_max": max(ratios),
                    "share_of_limit": speed / most,
                    "peak_memory_bytes": max(peaks, default=None),
                }
            )
        rows.sort(key=lambda row: -row["pictures_per_second"])
        configurations.append(
            {
                **dict(zip(("threads", "size", "trains"), case)),
                "limit_gflops": limit / 1e9,
                "limit_pictures_per_second": most,
                "rows": rows,
            }
        )
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": contest.commit,
        "versions": contest.versions,
        "batch": batch,
        "rounds": args.rounds,
        "steps": args.steps,
        "busy_at_start": contest.busy,
        "largest_difference_of_losses": contest.differences,
        "failures": contest.failures,
        "configurations": configurations,
    }


def markdown(result: dict) -> str:
    versions = ", ".join(f"{engine} {version}" for engine, version in result["versions"].items())
    parts = [
        f"{result['processor']}, {result['processors']} processors, {result['system']}; {result['date'][:10]}; "
        f"batches of {result['batch']}, {result['rounds']} rounds of {result['steps']} steps, "
        f"commit {result['commit'] or 'unknown'}; {versions}."
    ]
    if result["busy_at_start"] > 0.1:
        parts.append(
            f"**Other programs kept {result['busy_at_start']:.1f} processors busy when this began: only the ratios say "
            "something.**"
        )
    for configuration in result["configurations"]:
        rows = [["engine", "pictures/s", "least", "most", "ours / theirs", "of rounds", "of the limit", "peak MB"]]
        for row in configuration["rows"]:
            ours = row["engine"] == OURS
            rows.append(
                [
                    row["engine"],
                    *(f"{row[name]:.2f}" for name in ("pictures_per_second", "least", "most")),
                    "" if ours else f"{row['ours_by_theirs']:.2f}",
                    "" if ours else f"{row['ours_by_theirs_min']:.2f} to {row['ours_by_theirs_max']:.2f}",
                    f"{100 * row['share_of_limit']:.0f} %",
                    megabytes(row["peak_memory_bytes"]),
                ]
            )
        heading = title(*(configuration[name] for name in ("threads", "size", "trains")))
        limit = (
            f"Limit {configuration['limit_pictures_per_second']:.2f} pictures/s, "
            f"{configuration['limit_gflops']:.0f} GFLOP/s."
        )
        parts += [f"### {heading}", table(rows), limit]
    differences = result["largest_difference_of_losses"].items()
    parts += [f"Losses of {entry} differ from ours by {difference:.1e} at most." for entry, difference in differences]
    parts += [f"{entry} is out: {problem}." for entry, problem in result["failures"].items()]
    return "\n\n".join(parts) + "\n"


def chart(result: dict, path: pathlib.Path) -> None:
    pyplot = bench_peers.plotting()
    configurations = result["configurations"]
    columns = min(2, len(configurations))
    lines = -(-len(configurations) // columns)
    height = 1.2 + 0.32 * max(len(configuration["rows"]) for configuration in configurations)
    figure, axes = pyplot.subplots(lines, columns, figsize=(5.6 * columns, height * lines), squeeze=False)
    for axis, configuration in zip(axes.flat, configurations):
        rows = configuration["rows"][::-1]
        speeds = [row["pictures_per_second"] for row in rows]
        spread = [
            [row["pictures_per_second"] - row["least"] for row in rows],
            [row["most"] - row["pictures_per_second"] for row in rows],
        ]
        colours = ["#c1440e" if row["engine"] == OURS else "#8a9ba8" for row in rows]
        bars = axis.barh([row["engine"] for row in rows], speeds, xerr=spread, color=colours, ecolor="#444444")
        axis.bar_label(bars, [f"{speed:.2f}" for speed in speeds], label_type="center", color="white", fontsize=8)
        axis.axvline(configuration["limit_pictures_per_second"], color="black", linestyle=":", linewidth=1)
        axis.set_title(title(*(configuration[name] for name in ("threads", "size", "trains"))), fontsize=10)
        axis.set_xlabel("pictures a second; dotted: the processor's limit", fontsize=8)
        tidy(axis)
    for axis in axes.flat[len(configurations) :]:
        axis.remove()
    figure.suptitle(
        f"Training Xception, batches of {result['batch']}, single precision; {result['processor']}, "
        f"{result['date'][:10]}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def write(contest: Training, result: dict, text: str, folder: pathlib.Path) -> None:
    """Puts the results into a folder."""
    folder.mkdir()
    (folder / "table.md").write_text(text)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    with open(folder / "times.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["engine", "threads", "size", "trains", "round", "step", "ms", "peak_bytes"])
        for key, rounds in contest.rounds.items():
            for entry in rounds:
                for step, milliseconds in enumerate(entry["times"]):
                    writer.writerow([*key, entry["round"], step, f"{milliseconds:.1f}", entry["peak"]])
    chart(result, folder / "chart.png")


def names(known: tuple[str, ...]):
    def parse(text: str) -> list[str]:
        found = list(dict.fromkeys(text.split(",")))
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no '{name}'; there are {', '.join(known)}")
        return found

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_peers.sh --train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    numbers, number = bench_peers.numbers, bench_peers.number
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--engines", type=names(ENGINES), default=list(ENGINES), help="[default: tensorflow,torch]")
    parser.add_argument(
        "--trains",
        type=names(TRAINS),
        default=list(TRAINS[:2]),
        help=f"of {', '.join(TRAINS)} [default: {','.join(TRAINS[:2])}]",
    )
    parser.add_argument("--sizes", type=numbers, default=[299, 150], help="[default: 299,150]")
    parser.add_argument(
        "--threads", type=numbers, default=sorted({1, min(2, available)}), help="numbers of threads [default: 1,2]"
    )
    parser.add_argument("--batch", type=number, default=8, help="pictures of a step [default: 8]")
    parser.add_argument("--rounds", type=number, default=3, help="times that every engine has its turn [default: 3]")
    parser.add_argument("--steps", type=number, default=3, help="steps of a turn that count, after two [default: 3]")
    parser.add_argument("--through", default="", help="a command that starts every process, such as 'nice -n -5'")
    where = "benches/runs/DATE-TIME-training-PROCESSOR"
    parser.add_argument("--out", type=pathlib.Path, help=f"new folder for the results [default: {where}]")
    # What bench_peers.sh asks and says.
    parser.add_argument("--list-engines", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--xception", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()

    if max(args.threads) > available:
        parser.error(f"argument --threads: there are {available} processors")
    args.batch = [args.batch]
    machine = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    folder = f"{datetime.datetime.now():%Y-%m-%d-%H%M}-training-{machine}-{available}"
    args.out = (args.out or REPOSITORY / "benches" / "runs" / folder).absolute()
    args.xception = args.xception and args.xception.absolute()
    if args.out.exists():
        parser.error(f"argument --out: {args.out} exists")
    if not args.list_engines and not (args.xception and args.cache):
        parser.error("start scripts/peers/bench_peers.sh --train, which builds what is compared")
    return args


def main() -> None:
    args = arguments()
    if args.list_engines:
        print(*args.engines)
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup, say, one is ignored and stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, bench_peers.stop)
    try:
        # Beside the results' place, so that they appear all at once; made before the runs, so that a folder that cannot
        # be written fails at once.
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="xception-bench-") as scratch,
            tempfile.TemporaryDirectory(prefix=".unfinished-", dir=args.out.parent) as unfinished,
        ):
            contest = Training(args, pathlib.Path(scratch))
            contest.prepare_xception()
            contest.measure()
            result = summary(contest)
            text = markdown(result)
            print(text)
            results = pathlib.Path(unfinished) / "results"
            write(contest, result, text, results)
            results.rename(args.out)
            contest.say(f"kept in {args.out}")
    except (Failed, OSError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
