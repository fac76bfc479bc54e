//! Names of modules without names.
//!
//! `nn.Sequential(*list(model.children()))`, which many programs cut a backbone with, and fastai number the children of
//! a network. A ResNet of torchvision or timm has its parts in one order, and the `features` of a VGG are a sequence.

use burn_store::burn_pack::Tensor as PackTensor;

use crate::tensors::rename;

/// The children of a ResNet that have weights (`resnet.py` of torchvision and timm).
const RESNET: [(&str, &str); 7] = [
    ("0", "conv1"),
    ("1", "bn1"),
    ("4", "layer1"),
    ("5", "layer2"),
    ("6", "layer3"),
    ("7", "layer4"),
    ("9", "fc"),
];
/// Names that a numbered ResNet has.
const IN_RESNET: [&str; 4] = ["4.0.conv1.weight", "7.0.conv1.weight", "0.weight", "1.running_mean"];
/// Convolutions of 3 x 3 that a VGG-16's and a VGG-19's numbered sequence has.
const IN_VGG: [&str; 10] = [
    "0.weight",
    "2.weight",
    "5.weight",
    "7.weight",
    "10.weight",
    "12.weight",
    "14.weight",
    "19.weight",
    "21.weight",
    "28.weight",
];

/// Files with more copies of one network are not known.
const MOST: usize = 8;

/// The tensors, with the names of a network's own modules for numbers.
pub(super) fn named(tensors: Vec<PackTensor>) -> Vec<PackTensor> {
    let new_names: Vec<Option<String>> = {
        let names = Names(&tensors);
        let resnets = names.prefixes(IN_RESNET[0], |prefix| {
            IN_RESNET.iter().all(|name| names.shape(prefix, name).is_some())
        });
        let vggs = names.prefixes(IN_VGG[0], |prefix| {
            let has = |name: &&str| matches!(names.shape(prefix, name).as_deref(), Some([_, _, 3, 3]));
            !prefix.ends_with("features.") && IN_VGG.iter().all(has)
        });
        let new_name = |tensor: &PackTensor| {
            let name = tensor.name.as_str();
            let resnet = resnets.iter().find_map(|prefix| {
                let (child, rest) = name.strip_prefix(prefix)?.split_once('.')?;
                let (_, own) = RESNET.iter().find(|(number, _)| *number == child)?;
                Some(format!("{prefix}{own}.{rest}"))
            });
            resnet.or_else(|| {
                vggs.iter().find_map(|prefix| {
                    let own = name.strip_prefix(prefix)?;
                    let (child, _) = own.split_once('.')?;
                    child.parse::<usize>().ok()?;
                    Some(format!("{prefix}features.{own}"))
                })
            })
        };
        tensors.iter().map(new_name).collect()
    };
    let pairs = tensors.into_iter().zip(new_names);
    pairs
        .map(|(tensor, name)| match name {
            Some(name) => rename(tensor, name),
            None => tensor,
        })
        .collect()
}

/// Whether the tensors have the names of an `nn.Sequential` of a whole network's parts: numbers.
pub(super) fn are_numbered(names: &[&str]) -> bool {
    let is_whole = |parts: &[&str], prefix: &str| {
        let is_there = |part: &&str| names.iter().any(|name| name.strip_prefix(prefix) == Some(*part));
        parts.iter().all(is_there)
    };
    let holds = |parts: &[&str]| {
        let before = names.iter().filter_map(|name| name.strip_suffix(parts[0]));
        let mut whole = before
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .take(MOST);
        whole.any(|prefix| !prefix.ends_with("features.") && is_whole(parts, prefix))
    };
    holds(&IN_RESNET) || holds(&IN_VGG)
}

struct Names<'a>(&'a [PackTensor]);

impl<'a> Names<'a> {
    fn shape(&self, prefix: &str, name: &str) -> Option<Vec<usize>> {
        let is_it = |tensor: &&PackTensor| tensor.name.strip_prefix(prefix) == Some(name);
        self.0.iter().find(is_it).map(|tensor| tensor.shape.to_vec())
    }

    /// The prefixes of this name that are whole modules, and pass the test.
    fn prefixes(&self, name: &str, is_one: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let before = self.0.iter().filter_map(|tensor| tensor.name.strip_suffix(name));
        let whole = before.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'));
        whole.take(MOST).filter(|prefix| is_one(prefix)).collect()
    }
}
