//! PyTorch checkpoints, and the names of timm's and Cadene's Xception.

#[allow(
    dead_code,
    reason = "until the architectures carry the names of their modules in PyTorch"
)]
mod homes;
mod scan;

use std::path::Path;

use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
use burn_store::pytorch_reader::{FileFormat, PickleValue, PytorchReader};
use xception_model::{Pooling, Variant};

use crate::dtype::{rename, reshape, transpose};
use crate::error::ConvertError;
use crate::source::{Format, Found, Raw, SourceTensor};

/// Entries of a checkpoint that hold a network's weights, as timm and others write them.
const WRAPPERS: [&str; 7] = [
    "state_dict",
    "model",
    "model_state_dict",
    "net",
    "network",
    "state_dict_ema",
    "model_ema",
];

/// What wrapping modules put before every name: `DataParallel`, `torch.compile`, Lightning.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Reads a checkpoint; `key` is the entry that holds the weights, where there are several.
pub(crate) fn read(path: &Path, key: Option<&str>) -> Result<Found, ConvertError> {
    let (container, tensors) = tensors(path, key)?;
    named(path, tensors, container)
}

/// The tensors of a checkpoint of any network.
pub(crate) fn raw(path: &Path, key: Option<&str>) -> Result<Raw, ConvertError> {
    let (container, tensors) = tensors(path, key)?;
    Ok(Raw::new(container, tensors))
}

fn tensors(path: &Path, key: Option<&str>) -> Result<(&'static str, Vec<PackTensor>), ConvertError> {
    let damaged = |error: &dyn std::fmt::Display| ConvertError::damaged(path, error);
    // Nothing is read of a pickle that would run a program, or fill the memory.
    scan::scan(path).map_err(|problem| damaged(&problem))?;
    let key = match key {
        Some(key) => Some(key.to_owned()),
        None => PytorchReader::read_pickle_data(path, None)
            .map_err(|error| error.to_string())
            .and_then(|pickled| wrapper(&pickled))
            .map_err(|problem| damaged(&problem))?,
    };
    let reader = match &key {
        Some(key) => PytorchReader::with_top_level_key(path, key),
        None => PytorchReader::new(path),
    }
    .map_err(|error| damaged(&error))?;
    let container = match reader.metadata().format_type {
        FileFormat::Zip => "PyTorch checkpoint",
        FileFormat::Legacy => "PyTorch checkpoint of before 1.6",
        // Refused above, and without tensors.
        FileFormat::Tar | FileFormat::Pickle => "PyTorch pickle",
    };
    let mut tensors: Vec<PackTensor> = reader.into_tensors().into_values().map(bridge::from_pytorch).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((container, tensors))
}

/// A PyTorch network's tensors, of whatever container, as ours.
pub(crate) fn named(path: &Path, tensors: Vec<PackTensor>, container: &str) -> Result<Found, ConvertError> {
    let prefix = common_prefix(&tensors);
    let names = Names::of(tensors.iter().map(|tensor| &tensor.name[prefix.len()..]));
    let mut ignored = Vec::new();
    let mut found = Vec::new();
    for tensor in tensors {
        let origin = tensor.name.clone();
        let own = &origin[prefix.len()..];
        if own.ends_with(".num_batches_tracked") {
            ignored.push(origin);
            continue;
        }
        let tensor = match names.home(own) {
            Some(home) => arrange(tensor, home),
            None => tensor,
        };
        found.push(SourceTensor { origin, tensor });
    }
    let style = if found.iter().any(|entry| entry.origin.contains("last_linear.")) {
        "Cadene"
    } else {
        "timm"
    };
    let format = Format {
        name: format!("{container} with {style}'s names"),
        writer: None,
    };
    let mut found = Found::bare(path, format, found)?;
    // Their network has one forward function: an average, epsilon 1e-5, pools padded on every side.
    found.description.pooling = Some(Pooling::Average);
    found.description.variant = Some(Variant::Torch);
    found.ignored = ignored;
    Ok(found)
}

/// Whether the names are timm's or Cadene's.
pub(crate) fn has_torch_names<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.ends_with("block1.rep.0.conv1.weight"))
}

/// What stands before every name.
fn common_prefix(tensors: &[PackTensor]) -> String {
    let mut prefix = String::new();
    while let Some(next) = PREFIXES.iter().find(|next| {
        let longer = format!("{prefix}{next}");
        !tensors.is_empty() && tensors.iter().all(|tensor| tensor.name.starts_with(&longer))
    }) {
        prefix.push_str(next);
    }
    prefix
}

/// Where a PyTorch name lives here.
struct Home {
    path: String,
    /// `fc`'s kernel is `[out, in]` there and `[in, out]` here.
    dense: bool,
}

fn arrange(tensor: PackTensor, home: Home) -> PackTensor {
    let tensor = rename(tensor, home.path);
    let shape = tensor.shape.to_vec();
    match *shape.as_slice() {
        [_, _] if home.dense => transpose(tensor),
        // Files of before 2018 hold kernels without the axes of size 1.
        [channels, 3, 3] if tensor.name.ends_with(".depthwise.weight") => reshape(tensor, vec![channels, 1, 3, 3]),
        [output, input] if tensor.name.ends_with(".weight") => reshape(tensor, vec![output, input, 1, 1]),
        _ => tensor,
    }
}

/// The names of `timm/models/xception.py` (`legacy_xception`) and of Cadene's `pretrainedmodels`.
struct Names {
    /// `block12` in the published network: the last of the blocks, and the exit flow's first.
    last_block: usize,
}

impl Names {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let number = |name: &str| name.strip_prefix("block")?.split_once('.')?.0.parse().ok();
        Self {
            last_block: names.filter_map(number).max().unwrap_or(0),
        }
    }

    fn home(&self, name: &str) -> Option<Home> {
        let (module, variable) = name.rsplit_once('.')?;
        let norm = || {
            Some(match variable {
                "weight" => "gamma",
                "bias" => "beta",
                "running_mean" => "running_mean",
                "running_var" => "running_var",
                _ => return None,
            })
        };
        let path = match module {
            "conv1" | "conv2" => format!("block1.{module}.conv.{variable}"),
            "bn1" | "bn2" => format!("block1.conv{}.bn.{}", &module[2..], norm()?),
            "bn3" | "bn4" => format!("{}.sepconv{}.bn.{}", self.block(0), of_14(module)?, norm()?),
            "fc" | "last_linear" => {
                return Some(Home {
                    path: format!("head.predictions.{variable}"),
                    dense: variable == "weight",
                });
            }
            _ => {
                let (outer, inner) = module.split_once('.')?;
                match outer {
                    "conv3" | "conv4" => {
                        let half = separable_half(inner)?;
                        format!("{}.sepconv{}.{half}.{variable}", self.block(0), of_14(outer)?)
                    }
                    _ => self.in_block(outer, inner, variable, norm()?)?,
                }
            }
        };
        Some(Home { path, dense: false })
    }

    /// Their block's path here. They count from the one that is block 2 here; 0 stands for the last, which they don't count.
    fn block(&self, number: usize) -> String {
        match number {
            0 => format!("exit.block{}", self.last_block + 2),
            1..=3 => format!("entry.block{}", number + 1),
            _ if number == self.last_block => format!("exit.block{}", number + 1),
            _ => format!("middle.block{}", number + 1),
        }
    }

    fn in_block(&self, outer: &str, inner: &str, variable: &str, norm: &str) -> Option<String> {
        let number: usize = outer.strip_prefix("block")?.parse().ok()?;
        let block = self.block(number);
        match inner {
            "skip" => return Some(format!("{block}.residual.conv.{variable}")),
            "skipbn" => return Some(format!("{block}.residual.bn.{norm}")),
            _ => {}
        }
        // `rep` is a sequence of ReLU, separable convolution, norm; the first block begins without the ReLU.
        let rest = inner.strip_prefix("rep.")?;
        let (index, half) = match rest.split_once('.') {
            Some((index, half)) => (index, Some(half)),
            None => (rest, None),
        };
        let index = index.parse::<usize>().ok()? + usize::from(number == 1);
        let conv = index / 3 + 1;
        match (index % 3, half) {
            (1, Some(half)) => Some(format!("{block}.sepconv{conv}.{}.{variable}", separable_half(half)?)),
            (2, None) => Some(format!("{block}.sepconv{conv}.bn.{norm}")),
            _ => None,
        }
    }
}

/// `conv3` and `bn3` are the last block's first convolution, 4 its second.
fn of_14(module: &str) -> Option<usize> {
    match module.as_bytes().last()? {
        b'3' => Some(1),
        b'4' => Some(2),
        _ => None,
    }
}

fn separable_half(name: &str) -> Option<&'static str> {
    match name {
        "conv1" => Some("depthwise"),
        "pointwise" => Some("pointwise"),
        _ => None,
    }
}

/// The entry that holds the weights, if they are not at the root.
fn wrapper(root: &PickleValue) -> Result<Option<String>, String> {
    let PickleValue::Dict(entries) = root else {
        return Ok(None);
    };
    let is_weights = |name: &&str| matches!(entries.get(*name), Some(PickleValue::Dict(_)));
    let found: Vec<&str> = WRAPPERS.into_iter().filter(is_weights).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        several => Err(format!(
            "it holds several sets of weights: {}; choose one, such as --key {}",
            several.join(", "),
            several[several.len() - 1]
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_published_network() {
        let names = Names { last_block: 12 };
        for (theirs, ours) in [
            ("conv1.weight", "block1.conv1.conv.weight"),
            ("bn2.bias", "block1.conv2.bn.beta"),
            ("block1.rep.0.conv1.weight", "entry.block2.sepconv1.depthwise.weight"),
            ("block1.rep.4.running_var", "entry.block2.sepconv2.bn.running_var"),
            ("block1.skip.weight", "entry.block2.residual.conv.weight"),
            (
                "block3.rep.4.pointwise.weight",
                "entry.block4.sepconv2.pointwise.weight",
            ),
            ("block4.rep.7.conv1.weight", "middle.block5.sepconv3.depthwise.weight"),
            ("block11.rep.8.weight", "middle.block12.sepconv3.bn.gamma"),
            ("block12.skipbn.running_mean", "exit.block13.residual.bn.running_mean"),
            ("block12.rep.2.bias", "exit.block13.sepconv1.bn.beta"),
            ("conv3.pointwise.weight", "exit.block14.sepconv1.pointwise.weight"),
            ("bn4.weight", "exit.block14.sepconv2.bn.gamma"),
            ("fc.weight", "head.predictions.weight"),
            ("last_linear.bias", "head.predictions.bias"),
        ] {
            assert_eq!(
                names.home(theirs).map(|home| home.path).as_deref(),
                Some(ours),
                "{theirs}"
            );
        }
        for unknown in [
            "block4.rep.6.weight",
            "block1.rep.2.conv1.weight",
            "layer1.0.conv1.weight",
            "weight",
        ] {
            assert!(names.home(unknown).is_none(), "{unknown}");
        }
    }
}
