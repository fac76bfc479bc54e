//! The store: builder, inspection, and burn-store's `ModuleStore`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Bytes, Shape, TensorData};
use burn_store::burn_pack::{Error as PackError, Tensor as PackTensor};
use burn_store::{
    Applier, ApplyError, ApplyResult, IdentityAdapter, KeyRemapper, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PathFilter, bridge,
};
use serde_json::Value;

use crate::compare::compare;
use crate::contents::Contents;
use crate::error::{Direction, KerasStoreError, Mismatch, ValueMismatch};
use crate::hdf5::{H5Dataset, panicked};
use crate::kind::KerasFileKind;
use crate::layer::{KerasFormat, KerasLayer, KerasVariable};
use crate::layout::{Arrangement, burn_variable};
use crate::naming::Naming;
use crate::write::{self, Request};

/// A Keras weight file as a [`ModuleStore`], for any Burn module.
///
/// No file is opened before the first method that returns a `Result`.
///
/// # Names
///
/// A variable's key is its layer's [path](KerasLayer::path), with `.` for `/`, and Burn's name of
/// the variable:
///
/// | Keras | Burn |
/// |---|---|
/// | `kernel`, `embeddings` | `weight` |
/// | `bias`, `gamma`, `beta` | the same |
/// | `moving_mean`, `moving_variance` | `running_mean`, `running_var` |
/// | `depthwise_kernel` of a `DepthwiseConv` | `weight` |
/// | `depthwise_kernel`, `pointwise_kernel`, `bias` of a `SeparableConv` | `depthwise.weight`, `pointwise.weight`, `pointwise.bias` |
/// | any other | the same |
///
/// [`with_names`](Self::with_names) renames layers, then
/// [`with_key_remapping`](Self::with_key_remapping) whole keys.
///
/// # Layouts
///
/// | Keras | Burn |
/// |---|---|
/// | convolution `[spatial.., in, out]` | `[out, in, spatial..]` |
/// | transposed convolution `[spatial.., out, in]` | `[in, out, spatial..]` |
/// | depthwise `[spatial.., C, M]` | `[C * M, 1, spatial..]`, channel `c * M + m` |
/// | `Dense`, `Embedding`, vectors | the same |
///
/// The layer's class decides; if the file does not hold the class, the variable's name and rank decide. Types are kept:
/// a float64 file makes float64 parameters, unless an adapter such as
/// [`FloatCastAdapter`](burn_store::FloatCastAdapter) casts them.
///
/// # Strictness
///
/// [`apply_to`](ModuleStore::apply_to) compares all names, shapes and kinds of number before it
/// reads a value, and lists every difference in one [`KerasStoreError::Mismatch`]. On any error the
/// module is left unchanged. Optimiser state, metrics and random generators are not read.
///
/// # Memory
///
/// Tensors are read one at a time, when their values are requested. Each takes its own size and one MiB.
///
/// # Example
///
/// ```no_run
/// use burn::nn::{Linear, LinearConfig};
/// use burn::{module::Module, tensor::Device};
/// use burn_store::ModuleSnapshot;
/// use keras_store::KerasStore;
///
/// #[derive(Module, Debug)]
/// struct Net {
///     hidden: Linear,
///     scores: Linear,
/// }
///
/// # fn main() -> Result<(), keras_store::KerasStoreError> {
/// let device = Device::default();
/// let mut net = Net {
///     hidden: LinearConfig::new(2048, 100).init(&device),
///     scores: LinearConfig::new(100, 6).init(&device),
/// };
/// let mut store = KerasStore::from_file("model.keras").with_names([
///     ("dense".to_string(), "hidden".to_string()),
///     ("dense_1".to_string(), "scores".to_string()),
/// ]);
/// net.load_from(&mut store)?;
/// # Ok(())
/// # }
/// ```
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one builder method, as in burn-store's own stores"
)]
pub struct KerasStore {
    path: PathBuf,
    filter: PathFilter,
    naming: Naming,
    left_out: BTreeSet<String>,
    validate: bool,
    allow_partial: bool,
    allow_unused: bool,
    allow_non_finite: bool,
    skip_enum_variants: bool,
    from_adapter: Box<dyn ModuleAdapter>,
    to_adapter: Box<dyn ModuleAdapter>,
    model_config: Option<Value>,
    kind: Option<KerasFileKind>,
    overwrite: bool,
    contents: Option<Contents>,
    tensors: Option<Tensors>,
}

struct Tensors {
    by_key: BTreeMap<String, PackTensor>,
    /// The Keras name of each key, for messages.
    origins: BTreeMap<String, String>,
    failures: Failures,
}

/// Why reading a variable failed, by the variable's Keras name: burn-store returns only a debug string.
type Failures = Arc<Mutex<BTreeMap<String, String>>>;

impl fmt::Debug for KerasStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KerasStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl KerasStore {
    /// A store for the file at `path`, of any Keras layout, which is detected from the content. Nothing is opened yet.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            filter: PathFilter::new(),
            naming: Naming::default(),
            left_out: BTreeSet::new(),
            validate: true,
            allow_partial: false,
            allow_unused: false,
            allow_non_finite: false,
            skip_enum_variants: true,
            from_adapter: Box::new(IdentityAdapter),
            to_adapter: Box::new(IdentityAdapter),
            model_config: None,
            kind: None,
            overwrite: false,
            contents: None,
            tensors: None,
        }
    }

    /// Load only the parameters that `filter` selects, by their path in the module.
    #[must_use]
    pub fn filter(mut self, filter: PathFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Load only parameters whose path matches; several patterns are alternatives.
    ///
    /// # Panics
    ///
    /// Panics if `pattern` is not a valid regular expression.
    #[must_use]
    pub fn with_regex(mut self, pattern: impl AsRef<str>) -> Self {
        self.filter = self.filter.with_regex(pattern);
        self
    }

    /// Load only parameters whose path matches one of `patterns`.
    ///
    /// # Panics
    ///
    /// Panics if a pattern is not a valid regular expression.
    #[must_use]
    pub fn with_regexes<I, S>(mut self, patterns: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        self.filter = self.filter.with_regexes(patterns);
        self
    }

    /// Load the parameter with exactly this path; several paths are alternatives.
    #[must_use]
    pub fn with_full_path(mut self, path: impl Into<String>) -> Self {
        self.filter = self.filter.with_full_path(path);
        self
    }

    /// Load the parameters with exactly these paths.
    #[must_use]
    pub fn with_full_paths<I, S>(mut self, paths: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.filter = self.filter.with_full_paths(paths);
        self
    }

    /// Load the parameters for which `predicate(path, container path)` holds.
    #[must_use]
    pub fn with_predicate(mut self, predicate: fn(&str, &str) -> bool) -> Self {
        self.filter = self.filter.with_predicate(predicate);
        self
    }

    /// Load the parameters for which one of `predicates` holds.
    #[must_use]
    pub fn with_predicates<I>(mut self, predicates: I) -> Self
    where
        I: IntoIterator<Item = fn(&str, &str) -> bool>,
    {
        self.filter = self.filter.with_predicates(predicates);
        self
    }

    /// Load everything, whatever filters were set.
    #[must_use]
    pub fn match_all(mut self) -> Self {
        self.filter = self.filter.match_all();
        self
    }

    /// Rename layers exactly: `(layer path, module path)`, such as
    /// `("xception/block1_conv1", "backbone.entry.conv1")`. The path of a nested model renames all
    /// its layers which have no entry of their own. An entry no layer has is ignored. A layer that stands here several
    /// times gives its variables to each of its modules: its model calls it several times.
    #[must_use]
    pub fn with_names(mut self, map: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut seen = BTreeSet::new();
        for (layer, module) in map {
            if seen.insert(layer.clone()) {
                self.naming.copies.remove(&layer);
                self.naming.layers.insert(layer, module);
            } else {
                self.naming.copies.entry(layer).or_default().push(module);
            }
        }
        self.tensors = None;
        self
    }

    /// Ignores these layers, as if the file had no variables of them. For layers whose variables are no parameters of
    /// the module, such as the mean and variance of a `Normalization`. By [path](KerasLayer::path).
    #[must_use]
    pub fn without_layers(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.left_out.extend(paths);
        self.tensors = None;
        self
    }

    /// Rename keys by regular expressions, after [`with_names`](Self::with_names).
    #[must_use]
    pub fn remap(mut self, remapper: KeyRemapper) -> Self {
        self.naming.keys = remapper;
        self.tensors = None;
        self
    }

    /// Rename keys by a regular expression, after [`with_names`](Self::with_names) and the
    /// expressions before it.
    ///
    /// # Panics
    ///
    /// Panics if `from` is not a valid regular expression.
    #[must_use]
    pub fn with_key_remapping(mut self, from: impl AsRef<str>, to: impl Into<String>) -> Self {
        self.naming.keys = match self.naming.keys.add_pattern(from, to) {
            Ok(remapper) => remapper,
            Err(error) => panic!("with_key_remapping: {error}"),
        };
        self.tensors = None;
        self
    }

    /// Whether a wrong shape, a wrong type or an unreadable value is an error (default: yes). If
    /// not, it is listed in [`ApplyResult::errors`] and the parameter keeps its value.
    #[must_use]
    pub fn validate(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// Whether the module may have parameters the file lacks (default: no). They keep their values
    /// and are listed in [`ApplyResult::missing`].
    #[must_use]
    pub fn allow_partial(mut self, allow: bool) -> Self {
        self.allow_partial = allow;
        self
    }

    /// Whether the file may have variables the module lacks (default: no). They are listed in
    /// [`ApplyResult::unused`].
    #[must_use]
    pub fn allow_unused(mut self, allow: bool) -> Self {
        self.allow_unused = allow;
        self
    }

    /// Whether values may be NaN or infinite (default: no).
    #[must_use]
    pub fn allow_non_finite(mut self, allow: bool) -> Self {
        self.allow_non_finite = allow;
        self.tensors = None;
        self
    }

    /// Whether module paths omit the names of enum variants (default: yes, since Keras has no such names).
    #[must_use]
    pub fn skip_enum_variants(mut self, skip: bool) -> Self {
        self.skip_enum_variants = skip;
        self
    }

    /// Adapt each tensor as it is loaded, for instance to another float type.
    #[must_use]
    pub fn with_from_adapter(mut self, adapter: impl ModuleAdapter + 'static) -> Self {
        self.from_adapter = Box::new(adapter);
        self
    }

    /// Adapt each tensor as it is saved, for instance to another float type.
    #[must_use]
    pub fn with_to_adapter(mut self, adapter: impl ModuleAdapter + 'static) -> Self {
        self.to_adapter = Box::new(adapter);
        self
    }

    /// The Keras model to save as: `config.json` of a `.keras`, `model.to_json()` of Keras 3, or the
    /// [`model_config`](Self::model_config) of another file of the same model. Saving needs it, since
    /// a Keras file is arranged by its model's layers.
    #[must_use]
    pub fn with_model_config(mut self, config: Value) -> Self {
        self.model_config = Some(config);
        self
    }

    /// The layout to save in (default: [what the name says](KerasFileKind::of_name)).
    #[must_use]
    pub fn with_file_kind(mut self, kind: KerasFileKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Whether saving may replace an existing file (default: no).
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// The file's layers.
    ///
    /// In the order of `model.layers`, which is topological, if the file holds it: a `.keras` and a legacy `.h5` do. A
    /// bare `.weights.h5` does not; its layers are ordered by class, then by number (`conv2d`, `conv2d_1`, ..,
    /// `conv2d_10`). The layers of a nested model stand in the model's place.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a Keras weight file.
    pub fn layers(&mut self) -> Result<&[KerasLayer], KerasStoreError> {
        Ok(&self.open()?.layers)
    }

    /// The file's layout.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a Keras weight file.
    pub fn format(&mut self) -> Result<KerasFormat, KerasStoreError> {
        Ok(self.open()?.format.clone())
    }

    /// The model's config (`config.json` of a `.keras`, `model_config` of a whole-model `.h5`), if the file has one.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a Keras weight file.
    pub fn model_config(&mut self) -> Result<Option<&Value>, KerasStoreError> {
        Ok(self.open()?.config.as_ref())
    }

    /// The Keras version that wrote the file, if the file records it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a Keras weight file.
    pub fn keras_version(&mut self) -> Result<Option<&str>, KerasStoreError> {
        Ok(self.open()?.format.keras_version())
    }

    /// The file's own name for each key, such as `block1_conv1/kernel`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a Keras weight file.
    pub fn origins(&mut self) -> Result<BTreeMap<String, String>, KerasStoreError> {
        Ok(self.tensors()?.origins.clone())
    }

    fn open(&mut self) -> Result<&Contents, KerasStoreError> {
        let contents = match self.contents.take() {
            Some(contents) => contents,
            None => Contents::open(&self.path)?,
        };
        Ok(self.contents.insert(contents))
    }

    fn tensors(&mut self) -> Result<&Tensors, KerasStoreError> {
        let tensors = self.take_tensors()?;
        Ok(self.tensors.insert(tensors))
    }

    fn take_tensors(&mut self) -> Result<Tensors, KerasStoreError> {
        if let Some(tensors) = self.tensors.take() {
            return Ok(tensors);
        }
        self.open()?;
        let contents = self.contents.iter();
        self.describe(contents.flat_map(|c| c.layers.iter().zip(&c.data)))
    }

    /// Describes a tensor for each variable, without reading values.
    fn describe<'a>(
        &self,
        layers: impl Iterator<Item = (&'a KerasLayer, &'a Vec<Arc<H5Dataset>>)>,
    ) -> Result<Tensors, KerasStoreError> {
        let failures = Failures::default();
        let mut tensors = Vec::new();
        let mut origins = Vec::new();
        for (layer, data) in layers.filter(|(layer, _)| !self.left_out.contains(&layer.path)) {
            let separable = layer.variables.iter().any(|v| v.name == "pointwise_kernel");
            for (variable, data) in layer.variables.iter().zip(data) {
                let (suffix, arrangement) =
                    burn_variable(layer.class.as_deref(), separable, &variable.name, variable.shape.len());
                let origin = format!("{}/{}", layer.path, variable.name);
                for key in self.naming.every_key(&layer.path, suffix) {
                    tensors.push(deferred(
                        key,
                        variable,
                        arrangement,
                        Arc::clone(data),
                        !self.allow_non_finite,
                        origin.clone(),
                        Arc::clone(&failures),
                    ));
                    origins.push(origin.clone());
                }
            }
        }

        let mut by_key = BTreeMap::new();
        let mut origin_of = BTreeMap::new();
        for (tensor, origin) in tensors.into_iter().zip(origins) {
            let key = tensor.name.clone();
            if let Some(first) = origin_of.insert(key.clone(), origin.clone()) {
                return Err(KerasStoreError::DuplicateKey {
                    path: self.path.clone(),
                    key,
                    first,
                    second: origin,
                });
            }
            by_key.insert(key, tensor);
        }
        Ok(Tensors {
            by_key,
            origins: origin_of,
            failures,
        })
    }

    fn apply<M: ModuleSnapshot>(&self, module: &mut M, tensors: &Tensors) -> Result<ApplyResult, KerasStoreError> {
        let filter = (!self.filter.is_empty()).then(|| self.filter.clone());
        let mut found = Mismatch::new(self.path.clone(), Direction::Loading);
        let refused = compare(
            module,
            &tensors.by_key,
            filter.as_ref(),
            &*self.from_adapter,
            self.skip_enum_variants,
            &mut found,
        );
        if self.allow_partial {
            found.missing.clear();
        }
        if self.allow_unused {
            found.unused.clear();
        }
        let tolerated = if self.validate {
            Vec::new()
        } else {
            tolerate(&mut found)
        };
        if !found.is_empty() {
            return Err(KerasStoreError::Mismatch(Box::new(found)));
        }

        let chosen = tensors
            .by_key
            .iter()
            .filter(|(key, _)| !refused.contains(*key))
            .map(|(_, tensor)| tensor.clone())
            .collect();
        let adapter = Some(self.from_adapter.clone());
        let mut applier = Applier::new(chosen, filter, adapter, self.skip_enum_variants);
        // `ModuleSnapshot::apply` maps the module itself and would have to abort the process if a backend panics on a
        // tensor. A clone costs nothing (parameters are shared until they are replaced), survives the panic, and leaves
        // the module unchanged on any error. AssertUnwindSafe: clone and applier are dropped with the panic.
        let loaded = catch_unwind(AssertUnwindSafe(|| module.clone().map(&mut applier))).map_err(|panic| {
            KerasStoreError::Backend {
                path: self.path.clone(),
                reason: panicked(&*panic),
            }
        })?;

        let mut result = applier.into_result();
        if self.validate && !result.errors.is_empty() {
            found.values = result
                .errors
                .iter()
                .map(|error| tensors.value_mismatch(error))
                .collect();
            return Err(KerasStoreError::Mismatch(Box::new(found)));
        }
        result
            .missing
            .retain(|(name, _)| !tolerated.iter().any(|error| error_path(error) == name));
        result.unused.retain(|key| !refused.contains(key));
        result.errors.extend(tolerated);
        *module = loaded;
        Ok(result)
    }
}

impl ModuleStore for KerasStore {
    type Error = KerasStoreError;

    /// Saves the module as the Keras model of [`with_model_config`](KerasStore::with_model_config).
    ///
    /// The file appears complete or not at all. One tensor is in memory at a time, beside the module.
    ///
    /// # Errors
    ///
    /// [`KerasStoreError::Mismatch`] with every difference between the module and the model; or the reason why the
    /// config cannot be used or the file cannot be written.
    fn collect_from<M: ModuleSnapshot>(&mut self, module: &M) -> Result<(), Self::Error> {
        write::check_free(&self.path, self.overwrite)?;
        let config = self.model_config.as_ref().ok_or_else(|| KerasStoreError::NoConfig {
            path: self.path.clone(),
        })?;
        let kind = self.kind.or_else(|| KerasFileKind::of_name(&self.path));
        let kind = kind.ok_or_else(|| KerasStoreError::UnclearKind {
            path: self.path.clone(),
        })?;
        let filter = (!self.filter.is_empty()).then(|| self.filter.clone());
        let tensors = module.collect(filter, Some(self.to_adapter.clone()), self.skip_enum_variants);
        write::write(
            &Request {
                path: &self.path,
                kind,
                config,
                naming: &self.naming,
                overwrite: self.overwrite,
                allow_unused: self.allow_unused,
                allow_non_finite: self.allow_non_finite,
            },
            tensors,
        )?;
        self.contents = None;
        self.tensors = None;
        Ok(())
    }

    /// Loads the file into `module`, entirely or not at all.
    ///
    /// # Errors
    ///
    /// [`KerasStoreError::Mismatch`] with every difference, or the reason why the file could not be read.
    fn apply_to<M: ModuleSnapshot>(&mut self, module: &mut M) -> Result<ApplyResult, Self::Error> {
        let tensors = self.take_tensors()?;
        let result = self.apply(module, &tensors);
        self.tensors = Some(tensors);
        result
    }

    fn get_tensor(&mut self, name: &str) -> Result<Option<&PackTensor>, Self::Error> {
        Ok(self.tensors()?.by_key.get(name))
    }

    fn get_all_tensors(&mut self) -> Result<&BTreeMap<String, PackTensor>, Self::Error> {
        Ok(&self.tensors()?.by_key)
    }

    fn keys(&mut self) -> Result<Vec<String>, Self::Error> {
        Ok(self.tensors()?.by_key.keys().cloned().collect())
    }
}

impl Tensors {
    fn value_mismatch(&self, error: &ApplyError) -> ValueMismatch {
        let name = error_path(error);
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.origins.get(name).and_then(|o| failures.get(o));
        ValueMismatch {
            name: name.to_owned(),
            reason: known.cloned().unwrap_or_else(|| error.to_string()),
        }
    }
}

fn error_path(error: &ApplyError) -> &str {
    match error {
        ApplyError::ShapeMismatch { path, .. }
        | ApplyError::DTypeMismatch { path, .. }
        | ApplyError::AdapterError { path, .. }
        | ApplyError::LoadError { path, .. } => path,
    }
}

/// Removes the shapes and types that `validate(false)` only reports, and returns them.
fn tolerate(found: &mut Mismatch) -> Vec<ApplyError> {
    let shapes = std::mem::take(&mut found.shapes).into_iter();
    let dtypes = std::mem::take(&mut found.dtypes).into_iter();
    shapes
        .map(|s| ApplyError::ShapeMismatch {
            path: s.name,
            expected: Shape::from(s.expected),
            found: Shape::from(s.found),
        })
        .chain(dtypes.map(|d| ApplyError::LoadError {
            message: format!("the module has {}, the file {:?}", d.expected, d.found),
            path: d.name,
        }))
        .collect()
}

/// A tensor that reads and arranges its variable when its values are requested.
fn deferred(
    key: String,
    variable: &KerasVariable,
    arrangement: Arrangement,
    data: Arc<H5Dataset>,
    finite: bool,
    origin: String,
    failures: Failures,
) -> PackTensor {
    let shape = Shape::from(arrangement.shape(&variable.shape));
    let dtype = variable.dtype;
    bridge::deferred(key, dtype, shape.clone(), None, move || {
        let bytes = arrangement.read(&data, finite).map_err(|reason| {
            failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(origin.clone(), reason.clone());
            PackError::ValidationError(format!("`{origin}`: {reason}"))
        })?;
        TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), shape.clone(), dtype)
            .map_err(|e| PackError::TensorBytesSizeMismatch(e.to_string()))
    })
}
