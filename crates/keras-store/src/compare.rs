//! Compares the module's parameters with the file's variables, before any value is read.

use std::collections::{BTreeMap, HashSet};

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor};
use burn_store::burn_pack::Tensor as PackTensor;
use burn_store::{ModuleAdapter, ModuleContext, ModuleSnapshot, PathFilter};

use crate::error::{DTypeMismatch, Mismatch, NameMismatch, ShapeMismatch};

/// More suggestions are not useful, and each is searched among all names.
const MAX_SUGGESTIONS: usize = 32;
/// Jaro similarity, as burn-store uses for its own suggestions.
const SIMILAR: f64 = 0.7;

/// A parameter of the module, described without initialising it.
struct Parameter {
    name: String,
    containers: Vec<String>,
    shape: Vec<usize>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    /// The same rule as burn-store's `Applier`.
    fn accepts(self, dtype: DType) -> bool {
        match self {
            Self::Float => dtype.is_float() || matches!(dtype, DType::QFloat(_)),
            Self::Int => dtype.is_int() || dtype.is_uint(),
            Self::Bool => dtype.is_bool() || matches!(dtype, DType::U8 | DType::U32),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
        }
    }
}

struct Collect {
    path: Vec<String>,
    containers: Vec<String>,
    skip_enum_variants: bool,
    parameters: Vec<Parameter>,
}

impl Collect {
    fn push(&mut self, shape: Vec<usize>, kind: Kind) {
        self.parameters.push(Parameter {
            name: self.path.join("."),
            containers: self.containers.clone(),
            shape,
            kind,
        });
    }

    fn names_the_path(&self, container: &str) -> bool {
        !self.skip_enum_variants || !container.starts_with("Enum:")
    }
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(param.lazy_shape().to_vec(), Kind::Float);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.push(param.lazy_shape().to_vec(), Kind::Int);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(param.lazy_shape().to_vec(), Kind::Bool);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_owned());
        if self.names_the_path(container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.containers.pop();
        if self.names_the_path(container) {
            self.path.pop();
        }
    }
}

/// Adds every difference to `found`. Returns the names of tensors that must not be applied, because their shape or type
/// differs from the parameter's.
pub(crate) fn compare<M: ModuleSnapshot>(
    module: &M,
    tensors: &BTreeMap<String, PackTensor>,
    filter: Option<&PathFilter>,
    adapter: &dyn ModuleAdapter,
    skip_enum_variants: bool,
    found: &mut Mismatch,
) -> HashSet<String> {
    let mut collect = Collect {
        path: Vec::new(),
        containers: Vec::new(),
        skip_enum_variants,
        parameters: Vec::new(),
    };
    module.visit(&mut collect);

    let mut used = HashSet::new();
    let mut refused = HashSet::new();
    for parameter in &collect.parameters {
        let context = ModuleContext::new(&parameter.containers);
        let key = find(parameter, tensors, adapter, context);
        used.extend(key.clone());
        let selected =
            filter.is_none_or(|f| f.matches_with_container_path_str(&parameter.name, &parameter.containers.join(".")));
        if !selected {
            continue;
        }
        let Some((key, tensor)) = key.and_then(|k| tensors.get_key_value(&k)) else {
            found.missing.push(NameMismatch {
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
                nearest: None,
            });
            continue;
        };
        let mut tensor = tensor.clone();
        tensor.name.clone_from(&parameter.name);
        let tensor = adapter.adapt(tensor, context);
        if !parameter.kind.accepts(tensor.dtype) {
            found.dtypes.push(DTypeMismatch {
                name: parameter.name.clone(),
                expected: parameter.kind.name(),
                found: tensor.dtype,
            });
            refused.insert(key.clone());
        } else if *tensor.shape != *parameter.shape {
            found.shapes.push(ShapeMismatch {
                name: parameter.name.clone(),
                expected: parameter.shape.clone(),
                found: tensor.shape.to_vec(),
            });
            refused.insert(key.clone());
        }
    }
    for (key, tensor) in tensors {
        // With a filter, only the selected variables are expected to be used.
        if !used.contains(key) && filter.is_none_or(|f| f.matches(key)) {
            found.unused.push(NameMismatch {
                name: key.clone(),
                shape: tensor.shape.to_vec(),
                nearest: None,
            });
        }
    }
    let both: Vec<&str> = used.iter().map(String::as_str).collect();
    suggest(found, &both);
    refused
}

/// The key of the tensor for a parameter: the parameter's own name, or the adapter's other name for it.
fn find(
    parameter: &Parameter,
    tensors: &BTreeMap<String, PackTensor>,
    adapter: &dyn ModuleAdapter,
    context: ModuleContext<'_>,
) -> Option<String> {
    if tensors.contains_key(&parameter.name) {
        return Some(parameter.name.clone());
    }
    let (parent, last) = match parameter.name.rsplit_once('.') {
        Some((parent, last)) => (Some(parent), last),
        None => (None, parameter.name.as_str()),
    };
    let other = adapter.get_alternative_param_name(last, context.module_type()?)?;
    let key = parent.map_or_else(|| other.clone(), |p| format!("{p}.{other}"));
    tensors.contains_key(&key).then_some(key)
}

/// Finds the nearest name for each unmatched one: among the unmatched names of the other side, or among `others`, which
/// both sides have.
pub(crate) fn suggest(found: &mut Mismatch, others: &[&str]) {
    let missing: Vec<String> = found.missing.iter().map(|n| n.name.clone()).collect();
    let unused: Vec<String> = found.unused.iter().map(|n| n.name.clone()).collect();
    for (list, left) in [(&mut found.missing, &unused), (&mut found.unused, &missing)] {
        for entry in list.iter_mut().take(MAX_SUGGESTIONS) {
            entry.nearest = nearest(&entry.name, left.iter().map(String::as_str))
                .or_else(|| nearest(&entry.name, others.iter().copied()));
        }
    }
}

fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    others
        .map(|other| (strsim::jaro(name, other), other))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        // The first of equals, in the given order.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, other)| other.to_owned())
}
