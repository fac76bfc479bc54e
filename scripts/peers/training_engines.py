#!/usr/bin/env python3
"""Training steps of another engine in a process of its own. `bench_training.py` calls this.

    training_engines.py ENGINE NETWORK --trains full --size 299 --batch 8 --threads 2 --steps 3

NETWORK is the folder that `bench_peers.py` makes. A step is the forward pass, cross-entropy, the backward pass and an
update by SGD with momentum, of Keras's Xception with its batch norms apart. Prints one line of JSON: the time and the
loss of every step, and the peak memory. The first steps are a warm-up.

Each engine in its faster form: TensorFlow a step as one `tf.function`, with oneDNN; PyTorch channels last, ReLU in
place where that is allowed, and the fused form of its optimizer. The engine `float64` is PyTorch in double precision,
on the same single-precision weights and pictures: its losses are the reference, and its times mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time

import bench_engines
import numpy as np
from bench_engines import CLASSES, EPSILON, WEIGHTS, peak_memory, pool_padding, xception

# As `crates/trainer/src/train/step_timer.rs`.
RATE = 1e-3
MOMENTUM = 0.9

# As `crates/cli/src/commands/bench/train.rs`.
WARM_UP = 2

TRAINS = ("full", "frozen-statistics", "head")


def pictures(batch: int, size: int) -> np.ndarray:
    """As `StepTimer::new` of `crates/trainer/src/train/step_timer.rs` makes them."""
    index = np.arange(batch * 3 * size * size, dtype=np.int64)
    values = (index * 37 % 255).astype(np.float32) / np.float32(127.5) - np.float32(1)
    return values.reshape(batch, 3, size, size)


def labels(batch: int) -> np.ndarray:
    """As `StepTimer::new` makes them."""
    return np.arange(batch, dtype=np.int64) * 37 % CLASSES


class TensorFlow:
    def __init__(self, weights, args):
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        model = bench_engines.keras_model(weights, args.size)
        head = model.get_layer("predictions")
        variables = head.trainable_variables if args.trains == "head" else model.trainable_variables
        optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
        optimizer.build(variables)
        images = tf.constant(np.ascontiguousarray(pictures(args.batch, args.size).transpose(0, 2, 3, 1)))
        classes = tf.constant(labels(args.batch))

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                logits = model(images, training=args.trains == "full")
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits))
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            optimizer.apply(gradients, variables)
            return loss

        self.graph = step

    def step(self) -> float:
        return float(self.graph().numpy())


class Torch:
    # The name of the type of all tensors.
    precision = "float32"

    def __init__(self, weights, args):
        import torch
        from torch.nn import functional

        torch.set_num_threads(args.threads)
        self.functional, self.is_training = functional, args.trains == "full"
        self.tensors = {}
        trained = []
        for name, value in weights.items():
            tensor = torch.from_numpy(value).to(getattr(torch, self.precision))
            if value.ndim == 4:
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            statistic = name.rpartition(".")[2] in ("running_mean", "running_var")
            if not statistic and (args.trains != "head" or name.startswith("head.")):
                tensor.requires_grad_()
                trained.append(tensor)
            self.tensors[name] = tensor
        self.optimizer = torch.optim.SGD(trained, RATE, momentum=MOMENTUM, fused=True)
        images = torch.from_numpy(pictures(args.batch, args.size)).to(getattr(torch, self.precision))
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.classes = torch.from_numpy(labels(args.batch))
        # The output of a norm, whose values no other operation needs.
        self.normed = None

    # The operations that `bench_engines.xception` builds the network of.

    def conv(self, x, name, stride=1, depthwise=False):
        weight = self.tensors[f"{name}.weight"]
        groups = weight.shape[0] if depthwise else 1
        x = self.functional.conv2d(x, weight, None, stride, int(depthwise), 1, groups)
        if depthwise:
            return x
        norm = name.rpartition(".")[0] + ".bn"
        mean, variance, gamma, beta = (
            self.tensors[f"{norm}.{value}"] for value in ("running_mean", "running_var", "gamma", "beta")
        )
        self.normed = self.functional.batch_norm(x, mean, variance, gamma, beta, self.is_training, 0.01, EPSILON)
        return self.normed

    def relu(self, x):
        return self.functional.relu(x, inplace=x is self.normed)

    def add(self, x, y):
        return x + y

    def pool(self, x):
        before, after = pool_padding(x.shape[-1])
        if before != after:
            x = self.functional.pad(x, (before, after, before, after), value=float("-inf"))
            before = 0
        return self.functional.max_pool2d(x, 3, 2, before)

    def mean(self, x):
        return x.mean((2, 3))

    def dense(self, x, name):
        return x @ self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def step(self) -> float:
        loss = self.functional.cross_entropy(xception(self, self.images), self.classes)
        self.normed = None
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


class Reference(Torch):
    precision = "float64"

    def conv(self, x, name, stride=1, depthwise=False):
        if not depthwise:
            return super().conv(x, name, stride)
        # PyTorch convolves one channel after the other in double precision, which takes minutes.
        weight = self.tensors[f"{name}.weight"]
        height, width = x.shape[2:]
        padded = self.functional.pad(x, (1, 1, 1, 1))
        return sum(
            padded[:, :, row : row + height, column : column + width] * weight[:, 0, row, column].view(1, -1, 1, 1)
            for row in range(3)
            for column in range(3)
        )


ENGINES = {"tensorflow": TensorFlow, "torch": Torch, "float64": Reference}


def main() -> None:
    from safetensors.numpy import load_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("--trains", choices=TRAINS, required=True)
    for name in ("size", "batch", "threads", "steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    engine = ENGINES[args.engine](load_file(args.network / WEIGHTS), args)
    times, losses = [], []
    for _ in range(WARM_UP + args.steps):
        start = time.perf_counter()
        losses.append(engine.step())
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"times_ms": times[WARM_UP:], "losses": losses, "peak_memory_bytes": peak_memory()}), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
