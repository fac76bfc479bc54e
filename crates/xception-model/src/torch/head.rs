//! The classifier of a PyTorch checkpoint: which of its tensors are fully-connected layers after the backbone.

use std::collections::BTreeMap;

/// Parts of a name that mark a head. A number may follow (`fc2`).
const STEMS: [&str; 9] = [
    "fc",
    "last_linear",
    "classifier",
    "head",
    "logits",
    "linear",
    "top",
    "cls",
    "clf",
];
/// The most layers that a message lists, and that a head may have.
const MAX_LAYERS: usize = 16;

/// A module outside of the backbone, described by the shapes of its tensors.
#[derive(Debug, Default)]
struct Module {
    weight: Option<Vec<usize>>,
    others: Vec<String>,
}

impl Module {
    /// Whether it is a norm of the features, a layer or a convolution that makes as many of them, or a pooling of the
    /// map by a mean with an exponent of its own (`p` of `GeM`).
    fn may_change(&self, features: usize) -> bool {
        match self.weight.as_deref() {
            Some([length]) => *length == features,
            Some([output, input, ..]) => [*output, *input] == [features; 2],
            Some(_) => false,
            None => self.others == ["p"],
        }
    }

    /// Whether it is a fully-connected layer of two values for each feature, as in fastai's head.
    fn reads_twice(&self, features: usize) -> bool {
        matches!(self.weight.as_deref(), Some([_, input]) if *input == 2 * features)
    }

    /// What it is, by its tensors.
    fn kind(&self) -> String {
        match self.weight.as_deref().unwrap_or_default() {
            [] if self.others == ["p"] => "a pooling with an exponent".to_owned(),
            _ if self.others.iter().any(|kind| kind == "running_mean") => "a batch norm".to_owned(),
            [_] => "a norm, or an activation with weights".to_owned(),
            shape => format!("a layer with a weight of {shape:?}"),
        }
    }
}

/// The ways out for a head that cannot be read.
const KEEPS: &str = "--no-top leaves the head out, and torch.onnx.export(model, torch.zeros(1, 3, 299, 299), \
     \"model.onnx\") keeps it";

/// The refusal of a head of which weights alone say too little.
fn only_dense(what: &str) -> String {
    format!("{what}: of weights alone, heads of fully-connected layers are read; {KEEPS}")
}

/// Some layers and their shapes.
fn listed(modules: &[&&(&str, Module)]) -> String {
    let shown: Vec<String> = modules
        .iter()
        .take(MAX_LAYERS)
        .map(|(path, module)| format!("{path} {:?}", module.weight.clone().unwrap_or_default()))
        .collect();
    shown.join(", ")
}

/// The fully-connected layers of a head, in the order of computation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TorchHead {
    /// The name of each layer, and whether it has a bias.
    pub layers: Vec<(String, bool)>,
}

impl TorchHead {
    /// Finds the head among the tensors outside of the backbone, given by their names and their shapes in PyTorch's
    /// layout. The first layer reads `features`, each later layer the output of the layer before it.
    ///
    /// # Errors
    ///
    /// A layer with a head's name that is not fully connected, or layers that do not follow each other.
    pub fn find(tensors: &[(&str, Vec<usize>)], features: usize) -> Result<Self, String> {
        let mut modules: BTreeMap<Vec<NamePart<'_>>, (&str, Module)> = BTreeMap::new();
        for (name, shape) in tensors {
            let (path, kind) = name.rsplit_once('.').unwrap_or((name, ""));
            let (_, module) = modules.entry(parts(path)).or_insert((path, Module::default()));
            match kind {
                "weight" => module.weight = Some(shape.clone()),
                kind => module.others.push(kind.to_owned()),
            }
        }
        let is_dense = |module: &Module| module.weight.as_ref().is_some_and(|shape| shape.len() == 2);
        let (named, unnamed): (Vec<_>, Vec<_>) = modules.values().partition(|(path, _)| is_called_head(path));
        if named.is_empty() {
            // A layer that reads the features is a classifier whatever its name, if it is the only such layer.
            let reads = |(_, module): &&&(&str, Module)| {
                is_dense(module) && module.weight.as_ref().is_some_and(|shape| shape[1] == features)
            };
            return match unnamed.iter().filter(reads).collect::<Vec<_>>()[..] {
                [only] => Self {
                    layers: vec![layer(only)],
                }
                .alone(&unnamed, features),
                [] => match unnamed.iter().find(|(_, module)| module.reads_twice(features)) {
                    Some((path, module)) => Err(only_dense(&format!(
                        "its head may begin with {path}, {}, which reads the mean and the maximum of each map",
                        module.kind()
                    ))),
                    None => Ok(Self::default()),
                },
                ref several => Err(format!(
                    "several layers read its features: {}; {KEEPS}",
                    listed(several)
                )),
            };
        }
        if let Some((path, module)) = named.iter().find(|(_, module)| !is_dense(module)) {
            return Err(only_dense(&format!("its head has {path}, {}", module.kind())));
        }
        let (mut reads, mut layers) = (features, Vec::new());
        for found in &named {
            match found.1.weight.as_deref() {
                Some([output, input]) if *input == reads => reads = *output,
                _ => return Err(no_chain(&named, features)),
            }
            layers.push(layer(found));
        }
        if layers.len() > MAX_LAYERS {
            return Err(no_chain(&named, features));
        }
        Self { layers }.alone(&unnamed, features)
    }

    /// The head, if none of these other modules may stand between the backbone and it: such a module changes the
    /// numbers that the head reads.
    fn alone(self, others: &[&(&str, Module)], features: usize) -> Result<Self, String> {
        match others.iter().find(|(_, module)| module.may_change(features)) {
            Some((path, module)) => Err(only_dense(&format!(
                "{path}, {}, may stand before its head",
                module.kind()
            ))),
            None => Ok(self),
        }
    }

    /// The network's tensor for a name in the file.
    pub fn target(&self, name: &str) -> Option<String> {
        let (path, kind) = name.rsplit_once('.')?;
        let index = self.layers.iter().position(|(layer, _)| layer == path)?;
        if !["weight", "bias"].contains(&kind) {
            return None;
        }
        Some(if index + 1 == self.layers.len() {
            format!("head.predictions.{kind}")
        } else {
            format!("head.hidden.{index}.{kind}")
        })
    }
}

fn layer((path, module): &(&str, Module)) -> (String, bool) {
    ((*path).to_owned(), module.others.iter().any(|kind| kind == "bias"))
}

fn no_chain(named: &[&(&str, Module)], features: usize) -> String {
    let named: Vec<&&(&str, Module)> = named.iter().collect();
    format!(
        "the layers of its head do not follow each other, the first one on {features} features: {}; {KEEPS}",
        listed(&named)
    )
}

/// Whether a part of a module's name marks a head.
pub(super) fn is_called_head(path: &str) -> bool {
    path.split('.').any(|part| {
        let stem = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        STEMS.contains(&stem.to_lowercase().as_str())
    })
}

/// A part of a name, ordered so that 10 comes after 9.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NamePart<'a> {
    Number(u64),
    Text(&'a str, u64),
}

fn parts(path: &str) -> Vec<NamePart<'_>> {
    let part = |part| {
        if let Ok(number) = str::parse(part) {
            NamePart::Number(number)
        } else {
            let stem = str::trim_end_matches(part, |c: char| c.is_ascii_digit());
            NamePart::Text(stem, part[stem.len()..].parse().unwrap_or_default())
        }
    };
    path.split('.').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(tensors: &[(&'static str, &[usize])]) -> Result<Vec<(String, bool)>, String> {
        let tensors: Vec<(&str, Vec<usize>)> = tensors.iter().map(|(name, shape)| (*name, shape.to_vec())).collect();
        TorchHead::find(&tensors, 8).map(|head| head.layers)
    }

    #[test]
    fn heads_have_many_names() {
        for name in [
            "fc",
            "last_linear",
            "model.last_linear.1",
            "fc.1",
            "classifier",
            "classifier.1",
            "head",
            "head.fc",
            "module.backbone.last_linear",
        ] {
            let (weight, bias): (&'static str, &'static str) =
                (format!("{name}.weight").leak(), format!("{name}.bias").leak());
            let found = find(&[(weight, &[3, 8]), (bias, &[3])]).unwrap();
            assert_eq!(found, [(name.to_owned(), true)], "{name}");
            assert_eq!(
                find(&[(weight, &[3, 8])]).unwrap(),
                [(name.to_owned(), false)],
                "{name}"
            );
        }
        // An unusual name is accepted for the only layer that reads the features.
        assert_eq!(
            find(&[("decide.weight", &[3, 8]), ("loss.weight", &[3])]).unwrap(),
            [("decide".to_owned(), false)]
        );
        assert_eq!(find(&[("loss.weight", &[3])]).unwrap(), []);
    }

    #[test]
    fn layers_follow_each_other() {
        let found = find(&[("fc.10.weight", &[2, 4]), ("fc.9.weight", &[4, 8]), ("fc.9.bias", &[4])]);
        assert_eq!(found.unwrap(), [("fc.9".to_owned(), true), ("fc.10".to_owned(), false)]);
        let found = find(&[("fc1.weight", &[4, 8]), ("fc2.weight", &[2, 4])]);
        assert_eq!(found.unwrap(), [("fc1".to_owned(), false), ("fc2".to_owned(), false)]);
        let head = TorchHead {
            layers: vec![("fc1".into(), true), ("fc2".into(), true)],
        };
        assert_eq!(head.target("fc1.bias").as_deref(), Some("head.hidden.0.bias"));
        assert_eq!(head.target("fc2.weight").as_deref(), Some("head.predictions.weight"));
        assert_eq!(head.target("fc3.weight"), None);
    }

    #[test]
    fn what_may_stand_before_the_head_is_named() {
        let fc = [("fc.weight", &[3, 8][..]), ("fc.bias", &[3])];
        let with = |more: &[(&'static str, &'static [usize])]| find(&[&fc[..], more].concat());
        for (name, shape, what) in [
            (
                "global_pool.p",
                &[1][..],
                "global_pool, a pooling with an exponent, may stand",
            ),
            ("neck.weight", &[8], "neck, a norm, or an activation"),
            (
                "embedding.weight",
                &[8, 8],
                "embedding, a layer with a weight of [8, 8]",
            ),
            (
                "attention.weight",
                &[8, 8, 1, 1],
                "attention, a layer with a weight of [8, 8, 1, 1]",
            ),
        ] {
            let error = with(&[(name, shape)]).unwrap_err();
            assert!(error.starts_with(what) && error.contains("--no-top"), "{error}");
        }
        let error = with(&[("neck.running_mean", &[8]), ("neck.weight", &[8])]).unwrap_err();
        assert!(error.starts_with("neck, a batch norm"), "{error}");
        let error = find(&[("decide.weight", &[3, 8]), ("pool.p", &[1])]).unwrap_err();
        assert!(error.starts_with("pool, a pooling"), "{error}");
        let error = find(&[
            ("1.2.weight", &[16]),
            ("1.2.running_mean", &[16]),
            ("1.4.weight", &[4, 16]),
        ])
        .unwrap_err();
        assert!(error.starts_with("its head may begin with 1.4, a layer"), "{error}");
        let error = find(&[("age.weight", &[1, 8]), ("gender.weight", &[2, 8])]).unwrap_err();
        assert!(
            error.starts_with("several layers read its features: age [1, 8], gender [2, 8]"),
            "{error}"
        );
        // Of the losses and measures of a training.
        let others: [(&str, &[usize]); 6] = [
            ("adjust_channel.weight", &[4, 8, 1, 1]),
            ("loss.weight", &[3]),
            ("loss.centers", &[3, 8]),
            ("accuracy.confmat", &[3, 3]),
            ("normalize.mean", &[1, 3, 1, 1]),
            ("projector.weight", &[5, 8]),
        ];
        assert_eq!(with(&others).unwrap(), [("fc".to_owned(), true)]);
    }

    #[test]
    fn other_heads_are_named() {
        let error = find(&[
            ("fc.0.weight", &[8]),
            ("fc.0.running_mean", &[8]),
            ("fc.1.weight", &[2, 8]),
        ])
        .unwrap_err();
        assert!(error.contains("its head has fc.0, a batch norm"), "{error}");
        let error = find(&[("fc.weight", &[2, 8]), ("last_linear.weight", &[2, 8])]).unwrap_err();
        assert!(
            error.contains("do not follow each other") && error.contains("last_linear [2, 8]"),
            "{error}"
        );
    }
}
