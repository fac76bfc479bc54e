//! Reading through `hdf5-pure`, with the guards that it needs. (For writing: `write/hdf5.rs`.)
//!
//! * A dataset's declared shape may be false. Memory is reserved only after its size in bytes was computed without
//!   overflow and found possible for a file of this length.
//! * `hdf5-pure` does not notice a group that contains itself. The walk counts depth and objects, and stops at a limit.
//! * It parses nested types by unlimited recursion, and it may panic on a broken file. The walk therefore runs on a
//!   thread of its own with a large stack, and a panic becomes an error.
//! * It reads overlapping chunks, each as if it were alone. Overlapping chunks are refused.
//! * It has no type for float16 and bfloat16: their bytes are read raw and decoded here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::tensor::{BoolStore, DType};
use hdf5_pure::{
    Datatype, DatatypeByteOrder, File, FileAccessProperties, FormatError, Group, Layout, MetadataCacheConfig, Source,
};

use crate::window::FileWindow;

/// Keras files seen so far are at most six groups deep (`layers/functional/layers/x/vars/0`); each nested model adds
/// two.
const MAX_DEPTH: usize = 64;
/// Xception with its optimiser has under 2,000 groups and datasets.
const MAX_OBJECTS: usize = 100_000;
/// A header message has at most 64 KiB, so a type has at most 8,192 levels. A level takes less than 4 KiB of stack in
/// an unoptimised build.
const WALK_STACK_BYTES: usize = 64 << 20;
/// Metadata is read in many small pieces. This is twice what Xception's takes.
const METADATA_CACHE_BYTES: usize = 4 << 20;
/// Deflate cannot expand further than this (1,032 to 1); the other filters expand less.
const MAX_EXPANSION: u64 = 1_032;
/// Weights hardly compress. All datasets of a file that are not stored plainly may together unfold to this many bytes,
/// or to [`WHOLE_EXPANSION`] times the file's length.
const WHOLE_FLOOR: u64 = 64 << 20;
const WHOLE_EXPANSION: u64 = 16;
/// How much of a contiguous dataset is read or written at once.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

impl H5Tree {
    /// Adds the content of another shard.
    pub(crate) fn merge(&mut self, other: Self) {
        self.datasets.extend(other.datasets);
        for (path, group) in other.groups {
            let mine = self.groups.entry(path).or_default();
            mine.strings.extend(group.strings);
            mine.children.extend(group.children);
            mine.children.sort();
            mine.children.dedup();
        }
    }
}

/// A problem, and the group or dataset where it was found.
#[derive(Debug)]
pub(crate) struct H5Error {
    pub(crate) place: String,
    pub(crate) reason: String,
}

impl H5Error {
    fn at(place: &str, reason: String) -> Self {
        let place = if place.is_empty() { "/" } else { place };
        Self {
            place: place.into(),
            reason,
        }
    }
}

/// Groups and datasets of a file by their full path without a leading slash (`""` is the root).
#[derive(Default)]
pub(crate) struct H5Tree {
    pub(crate) groups: BTreeMap<String, H5Group>,
    pub(crate) datasets: BTreeMap<String, Arc<H5Dataset>>,
}

/// A group: its string attributes, and the names of its direct members.
#[derive(Default)]
pub(crate) struct H5Group {
    strings: BTreeMap<String, Vec<String>>,
    pub(crate) children: Vec<String>,
}

impl H5Group {
    /// The strings of an attribute. Keras splits a long list into `name0`, `name1`, ... (`legacy_h5_format.py`,
    /// `save_attributes_to_hdf5_group`); these are joined.
    pub(crate) fn strings(&self, name: &str) -> Option<Vec<String>> {
        if let Some(list) = self.strings.get(name) {
            return Some(list.clone());
        }
        let parts: Vec<_> = (0..).map_while(|i| self.strings.get(&format!("{name}{i}"))).collect();
        (!parts.is_empty()).then(|| parts.into_iter().flatten().cloned().collect())
    }

    /// An attribute that holds exactly one string.
    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        match self.strings.get(name).map(Vec::as_slice) {
            Some([one]) => Some(one),
            _ => None,
        }
    }
}

impl H5Tree {
    /// Reads all groups, attributes and dataset headers, but no values. `skip` names groups, by full path, that are
    /// left out with their content.
    pub(crate) fn read(window: FileWindow, skip: fn(&str) -> bool) -> Result<Self, H5Error> {
        let source = Arc::new(window);
        let walk = move || {
            let file = open(&source)?;
            // As in the HDF5 library: a truncated file is an error even if the missing part would not be read.
            let whole = file.superblock().eof_address;
            if whole > source.len() {
                return Err(H5Error::at(
                    "",
                    format!("it was cut short: {} of {whole} bytes are left", source.len()),
                ));
            }
            let mut walk = Walk {
                tree: H5Tree::default(),
                source,
                skip,
                objects: 0,
                unfolded: 0,
            };
            walk.group(&file.root(), "", 0)?;
            Ok(walk.tree)
        };
        let broken = |reason: String| H5Error::at("", reason);
        std::thread::Builder::new()
            .name("keras-store".into())
            .stack_size(WALK_STACK_BYTES)
            .spawn(walk)
            .map_err(|e| broken(format!("no thread to read it on: {e}")))?
            .join()
            .unwrap_or_else(|panic| Err(broken(gave_up(&*panic))))
    }
}

fn open(source: &Arc<FileWindow>) -> Result<File, H5Error> {
    let properties = FileAccessProperties::new().with_metadata_cache(MetadataCacheConfig::new(METADATA_CACHE_BYTES));
    File::from_source_with_options(H5Source(Arc::clone(source)), properties).map_err(|e| H5Error::at("", e.to_string()))
}

struct H5Source(Arc<FileWindow>);

impl Source for H5Source {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        self.0
            .read_at(offset, buffer)
            .map_err(|e| FormatError::Source(e.to_string()))
    }
}

struct Walk {
    tree: H5Tree,
    source: Arc<FileWindow>,
    skip: fn(&str) -> bool,
    objects: usize,
    /// Unfolded bytes of the datasets that the file does not store plainly.
    unfolded: u64,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), H5Error> {
        if depth > MAX_DEPTH {
            return Err(H5Error::at(
                path,
                format!("groups are nested more than {MAX_DEPTH} deep; one probably contains itself"),
            ));
        }
        self.count(path)?;
        let here = |e: hdf5_pure::Error| H5Error::at(path, e.to_string());

        let mut entry = H5Group::default();
        for (name, value) in group.attrs().map_err(here)? {
            // Keras 2 writes an empty list as an empty array of floats.
            let strings = value.as_strings().unwrap_or_default();
            // Fixed-length strings are padded with NULs.
            let strings = strings.iter().map(|s| s.trim_end_matches('\0').to_owned());
            let strings = strings.collect();
            entry.strings.insert(name, strings);
        }
        for (name, dataset) in group.iter_datasets().map_err(here)? {
            let place = member(path, &name)?;
            self.count(&place)?;
            let header = self.dataset(&place, dataset)?;
            self.tree.datasets.insert(place, Arc::new(header));
        }
        for (name, child) in group.iter_groups().map_err(here)? {
            let place = member(path, &name)?;
            if (self.skip)(&place) {
                continue;
            }
            self.group(&child, &place, depth + 1)?;
            entry.children.push(name);
        }
        self.tree.groups.insert(path.to_owned(), entry);
        Ok(())
    }

    fn count(&mut self, place: &str) -> Result<(), H5Error> {
        self.objects += 1;
        if self.objects > MAX_OBJECTS {
            return Err(H5Error::at(
                place,
                format!("the file has more than {MAX_OBJECTS} groups and datasets"),
            ));
        }
        Ok(())
    }

    fn dataset(&mut self, place: &str, dataset: hdf5_pure::Dataset) -> Result<H5Dataset, H5Error> {
        let here = |e: hdf5_pure::Error| H5Error::at(place, e.to_string());
        let element = Element::of(&dataset.datatype().map_err(here)?);
        let declared = dataset.shape().map_err(here)?;
        let impossible = || {
            H5Error::at(
                place,
                format!(
                    "its shape {declared:?} is more than a file of {} bytes can hold",
                    self.source.len()
                ),
            )
        };
        let shape = declared
            .iter()
            .map(|&d| usize::try_from(d).ok())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(impossible)?;
        // Of a type that no tensor has, only the shape is reported.
        let width = element.as_ref().map_or(1, |e| e.dtype.size());
        let bytes = shape
            .iter()
            .try_fold(width, |product, &d| product.checked_mul(d))
            .ok_or_else(impossible)? as u64;

        let file = self.source.len();
        let layout = dataset.layout().map_err(here)?;
        let storage = if let Layout::Contiguous {
            address: Some(address), ..
        } = layout
        {
            if address.checked_add(bytes).is_none_or(|end| end > file) {
                return Err(impossible());
            }
            Storage::Contiguous {
                source: Arc::clone(&self.source),
                address,
            }
        } else {
            let filtered = !dataset.filters().is_empty();
            let most = file.saturating_mul(if filtered { MAX_EXPANSION } else { 1 });
            if bytes > most {
                return Err(impossible());
            }
            self.unfolded = self.unfolded.saturating_add(bytes);
            if self.unfolded > WHOLE_FLOOR.max(file.saturating_mul(WHOLE_EXPANSION)) {
                return Err(H5Error::at(
                    place,
                    format!(
                        "with it the file of {file} bytes would unfold to {}, which weights do not",
                        self.unfolded
                    ),
                ));
            }
            Storage::Other(Box::new(dataset))
        };
        Ok(H5Dataset {
            place: place.to_owned(),
            shape,
            element,
            storage,
        })
    }
}

/// How one number of a dataset is stored.
#[derive(Clone, Copy)]
struct Element {
    dtype: DType,
    big_endian: bool,
}

impl Element {
    /// `None` for a type that no tensor has: a string, a compound, a complex number.
    fn of(datatype: &Datatype) -> Option<Self> {
        let (dtype, order) = match datatype {
            Datatype::FloatingPoint {
                size,
                byte_order,
                layout,
            } => {
                let dtype = match (size, layout.exponent_size, layout.mantissa_size) {
                    (8, 11, 52) => DType::F64,
                    (4, 8, 23) => DType::F32,
                    (2, 5, 10) => DType::F16,
                    (2, 8, 7) => DType::BF16,
                    _ => return None,
                };
                (dtype, byte_order)
            }
            Datatype::FixedPoint {
                size,
                byte_order,
                layout,
            } => {
                let dtype = match (size, layout.signed) {
                    (8, true) => DType::I64,
                    (4, true) => DType::I32,
                    (2, true) => DType::I16,
                    (1, true) => DType::I8,
                    (8, false) => DType::U64,
                    (4, false) => DType::U32,
                    (2, false) => DType::U16,
                    (1, false) => DType::U8,
                    _ => return None,
                };
                (dtype, byte_order)
            }
            // h5py's bool: an enumeration of FALSE and TRUE over one byte.
            Datatype::Enumeration { size: 1, members, .. }
                if members.iter().all(|m| m.name == "FALSE" || m.name == "TRUE") =>
            {
                (DType::Bool(BoolStore::Native), &DatatypeByteOrder::LittleEndian)
            }
            // ml_dtypes.bfloat16, for which HDF5 has no name; Keras 3 marks it with an attribute.
            Datatype::Opaque { size: 2, .. } => (DType::BF16, &DatatypeByteOrder::LittleEndian),
            _ => return None,
        };
        let big_endian = match order {
            DatatypeByteOrder::LittleEndian => false,
            DatatypeByteOrder::BigEndian => true,
            DatatypeByteOrder::Vax => return None,
        };
        Some(Self { dtype, big_endian })
    }
}

enum Storage {
    /// One run of bytes at an offset of the file: Keras writes all datasets like this.
    Contiguous { source: Arc<FileWindow>, address: u64 },
    /// Chunked (and perhaps filtered), compact, or never written.
    Other(Box<hdf5_pure::Dataset>),
}

/// A dataset's header and access to its values.
pub(crate) struct H5Dataset {
    place: String,
    /// As stored. Its size in bytes fits `usize` and the file.
    pub(crate) shape: Vec<usize>,
    element: Option<Element>,
    storage: Storage,
}

impl H5Dataset {
    /// `None` for a type that no tensor has.
    pub(crate) fn dtype(&self) -> Option<DType> {
        self.element.map(|e| e.dtype)
    }

    /// Visits the values in order, in little-endian pieces of whole rows (a row is the last axis). The first argument
    /// is the number of the piece's first row.
    pub(crate) fn read_rows(&self, mut visit: impl FnMut(usize, &[u8]) -> Result<(), String>) -> Result<(), String> {
        let element = self
            .element
            .ok_or_else(|| "its type is not one a tensor has".to_owned())?;
        let width = element.dtype.size();
        let row = self.shape.last().copied().unwrap_or(1) * width;
        let total = self.shape.iter().product::<usize>() * width;
        if total == 0 {
            return Ok(());
        }
        match &self.storage {
            Storage::Contiguous { source, address } => {
                let rows = (PIECE_BYTES / row).max(1);
                let mut piece = vec![0; (rows * row).min(total)];
                for start in (0..total).step_by(rows * row) {
                    let len = piece.len().min(total - start);
                    let bytes = &mut piece[..len];
                    source
                        .read_at(address + start as u64, bytes)
                        .map_err(|e| format!("`{}`: {e}", self.place))?;
                    swap(bytes, width, element.big_endian);
                    visit(start / row, bytes)?;
                }
                Ok(())
            }
            Storage::Other(dataset) => {
                // AssertUnwindSafe: after a panic only the dataset's chunk cache is in doubt. It lies behind a lock
                // that hdf5-pure takes anew for each read, and the values are discarded.
                let mut bytes = catch_unwind(AssertUnwindSafe(|| {
                    chunks_apart(dataset)?;
                    dataset.read_raw().map_err(|e| e.to_string())
                }))
                .unwrap_or_else(|panic| Err(gave_up(&*panic)))
                .map_err(|reason| format!("`{}`: {reason}", self.place))?;
                if bytes.len() != total {
                    return Err(format!(
                        "`{}` has {} bytes of values; its shape asks for {total}",
                        self.place,
                        bytes.len()
                    ));
                }
                swap(&mut bytes, width, element.big_endian);
                visit(0, &bytes)
            }
        }
    }
}

/// Checks that no two chunks of a dataset share bytes of the file or places of the dataset. Otherwise the intended
/// value would be unknown, and a small file could unfold to the largest allowed dataset.
fn chunks_apart(dataset: &hdf5_pure::Dataset) -> Result<(), String> {
    if !dataset.is_chunked() {
        return Ok(());
    }
    let chunks = dataset.chunks().map_err(|e| e.to_string())?;
    let mut stored: Vec<(u64, u64)> = chunks.iter().map(|c| (c.address, c.storage_size)).collect();
    stored.sort_unstable();
    let over = stored.windows(2).find_map(|pair| match *pair {
        [(first, len), (second, _)] => first
            .checked_add(len)
            .is_none_or(|end| end > second)
            .then_some([first, second]),
        _ => None,
    });
    if let Some([first, second]) = over {
        return Err(format!(
            "its chunks at the bytes {first} and {second} of the file overlap"
        ));
    }
    let mut places: Vec<&[u64]> = chunks.iter().map(|c| c.offset.as_slice()).collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two of its chunks are for the place {:?}", pair[0])),
        None => Ok(()),
    }
}

fn swap(bytes: &mut [u8], width: usize, big_endian: bool) {
    if big_endian {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}

/// The path of a group's member. An empty name, or a name with a slash (both invalid in HDF5), would give the path of
/// another object.
fn member(path: &str, name: &str) -> Result<String, H5Error> {
    if name.is_empty() || name.contains('/') {
        return Err(H5Error::at(
            path,
            format!("it has a member named `{}`", name.escape_debug()),
        ));
    }
    Ok(join(path, name))
}

/// `path/name`, where the root's path is empty.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}

fn gave_up(panic: &(dyn std::any::Any + Send)) -> String {
    format!("the HDF5 reader gave up on it ({})", panicked(panic))
}

/// The message of a caught panic.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let cause = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    cause.to_owned()
}
