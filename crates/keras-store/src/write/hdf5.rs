//! Writing through `hdf5-pure`: the file is laid out first, then its values are written one tensor at a time.
//!
//! `hdf5_pure::FileBuilder` takes all values before it writes the first byte. It is given zeros, which the system does
//! not back with memory until they are written to. Its output is kept without those zeros: some hundred kilobytes of
//! headers. The place of each dataset's values is then read from the headers, and the file is written from both in one
//! pass, in order.

use std::collections::BTreeMap;
use std::io::{self, Write};

use burn::tensor::DType;
use hdf5_pure::{
    AttrValue, Datatype, DatatypeByteOrder, File, FileBuilder, FloatingPointLayout, FormatError, GroupBuilder, Layout,
    LibVer, Source, make_f32_type, make_f64_type,
};

use crate::hdf5::join;

/// A new group.
#[derive(Debug, Default)]
pub(crate) struct NewGroup {
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) groups: BTreeMap<String, NewGroup>,
    pub(crate) datasets: BTreeMap<String, NewDataset>,
}

/// An attribute, of a type that h5py uses for what Keras writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// Python's `str`.
    Text(String),
    /// Python's `bytes`.
    Bytes(String),
    /// A NumPy array of `bytes`; an empty list is an empty array of floats.
    List(Vec<String>),
}

/// A new dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewDataset {
    pub(crate) shape: Vec<usize>,
    /// One of the floats.
    pub(crate) dtype: DType,
    /// Which of the caller's tensors holds the values.
    pub(crate) tensor: usize,
}

impl NewDataset {
    fn byte_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

impl NewGroup {
    pub(crate) fn attribute(&mut self, name: &str, value: Attribute) {
        self.attributes.push((name.to_owned(), value));
    }

    /// The group at `path`; missing groups on the way are created.
    pub(crate) fn group(&mut self, path: &str) -> &mut Self {
        path.split('/')
            .fold(self, |group, part| group.groups.entry(part.to_owned()).or_default())
    }

    /// Adds a dataset at `path`, unless there is one already.
    pub(crate) fn dataset(&mut self, path: &str, dataset: NewDataset) -> Result<(), String> {
        let (group, name) = match path.rsplit_once('/') {
            Some((groups, name)) => (self.group(groups), name),
            None => (self, path),
        };
        match group.datasets.insert(name.to_owned(), dataset) {
            None => Ok(()),
            Some(_) => Err(format!("two variables of it belong at `{path}`")),
        }
    }
}

/// The layout of a file, without its values.
pub(crate) struct FilePlan {
    headers: Headers,
    /// Where the values are, in the order of the file.
    places: Vec<Place>,
}

struct Place {
    address: u64,
    len: u64,
    tensor: usize,
}

/// Why a file was not written.
#[derive(Debug)]
pub(crate) enum NotWritten<E> {
    /// The system refused a write.
    Io(io::Error),
    /// The caller has no values for a dataset.
    Tensor(E),
}

impl FilePlan {
    /// Lays out a file with everything in `root`.
    pub(crate) fn of(root: &NewGroup) -> Result<Self, String> {
        let mut builder = FileBuilder::new();
        // Written in the format of HDF5 1.8, which more programs read.
        builder.with_libver_bounds(LibVer::Earliest, LibVer::V18);
        for (name, value) in &root.attributes {
            builder.set_attr(name, attribute(value));
        }
        for (name, dataset) in &root.datasets {
            fill(builder.create_dataset(name), dataset)?;
        }
        for (name, group) in &root.groups {
            let mut inner = builder.create_group(name);
            fill_group(&mut inner, group)?;
            builder.add_group(inner.finish());
        }
        let mut headers = Headers::default();
        builder.finish_to(&mut headers).map_err(|e| e.to_string())?;
        headers.close();

        let file = File::from_source(headers.clone()).map_err(|e| e.to_string())?;
        let mut places = Vec::new();
        find_places(&file, root, "", &mut places)?;
        places.sort_unstable_by_key(|place| place.address);
        Ok(Self { headers, places })
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.headers.len
    }

    /// Writes the file. `values` writes all values of the requested tensor.
    pub(crate) fn write<E>(
        &self,
        out: &mut dyn Write,
        mut values: impl FnMut(usize, &mut dyn Write) -> Result<(), NotWritten<E>>,
    ) -> Result<(), NotWritten<E>> {
        let mut at = 0;
        for place in &self.places {
            self.headers.copy(at, place.address, out).map_err(NotWritten::Io)?;
            let mut counted = Counted { out, bytes: 0 };
            values(place.tensor, &mut counted)?;
            if counted.bytes != place.len {
                let (bytes, len) = (counted.bytes, place.len);
                let wrong = format!("a tensor gave {bytes} bytes, of which {len} were announced");
                return Err(NotWritten::Io(io::Error::other(wrong)));
            }
            at = place.address + place.len;
        }
        self.headers.copy(at, self.headers.len, out).map_err(NotWritten::Io)
    }
}

fn fill_group(builder: &mut GroupBuilder, group: &NewGroup) -> Result<(), String> {
    for (name, value) in &group.attributes {
        builder.set_attr(name, attribute(value));
    }
    for (name, dataset) in &group.datasets {
        fill(builder.create_dataset(name), dataset)?;
    }
    for (name, group) in &group.groups {
        let mut inner = builder.create_group(name);
        fill_group(&mut inner, group)?;
        builder.add_group(inner.finish());
    }
    Ok(())
}

fn attribute(value: &Attribute) -> AttrValue {
    match value {
        Attribute::Text(text) => AttrValue::VarLenString(text.clone()),
        Attribute::Bytes(text) => AttrValue::VarLenAsciiString(text.clone()),
        Attribute::List(list) if list.is_empty() => AttrValue::F64Array(Vec::new()),
        Attribute::List(list) => AttrValue::VarLenAsciiStringArray(list.clone()),
    }
}

fn fill(builder: &mut hdf5_pure::DatasetBuilder, dataset: &NewDataset) -> Result<(), String> {
    let datatype = datatype(dataset.dtype).ok_or_else(|| format!("{:?} has no place in HDF5", dataset.dtype))?;
    let shape: Vec<u64> = dataset.shape.iter().map(|&side| side as u64).collect();
    let count = shape.iter().product();
    builder.with_raw_data(datatype, vec![0; dataset.byte_len()], count);
    builder.with_shape(&shape);
    if dataset.dtype == DType::BF16 {
        builder.set_attr("dtype", AttrValue::VarLenString("bfloat16".into()));
    }
    Ok(())
}

fn datatype(dtype: DType) -> Option<Datatype> {
    match dtype {
        DType::F64 => Some(make_f64_type()),
        DType::F32 | DType::Flex32 => Some(make_f32_type()),
        DType::F16 => Some(Datatype::FloatingPoint {
            size: 2,
            byte_order: DatatypeByteOrder::LittleEndian,
            layout: FloatingPointLayout {
                bit_offset: 0,
                bit_precision: 16,
                exponent_location: 10,
                exponent_size: 5,
                mantissa_location: 0,
                mantissa_size: 10,
                exponent_bias: 15,
            },
        }),
        // The type that h5py uses for `ml_dtypes.bfloat16`.
        DType::BF16 => Some(Datatype::Opaque {
            size: 2,
            tag: Vec::new(),
        }),
        _ => None,
    }
}

fn find_places(file: &File, group: &NewGroup, path: &str, places: &mut Vec<Place>) -> Result<(), String> {
    for (name, dataset) in &group.datasets {
        let place = join(path, name);
        let len = dataset.byte_len() as u64;
        let layout = file
            .dataset(&place)
            .and_then(|d| d.layout())
            .map_err(|e| e.to_string())?;
        match layout {
            Layout::Contiguous {
                address: Some(address),
                size,
            } if size == len => places.push(Place {
                address,
                len,
                tensor: dataset.tensor,
            }),
            Layout::Contiguous { address: None, .. } if len == 0 => {}
            other => return Err(format!("`{place}` of {len} bytes was laid out as {other:?}")),
        }
    }
    for (name, inner) in &group.groups {
        find_places(file, inner, &join(path, name), places)?;
    }
    Ok(())
}

/// Smaller blocks would be too many; larger ones would hold more zeros.
const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// The written bytes, without blocks that are all zeros.
#[derive(Clone, Default)]
struct Headers {
    blocks: BTreeMap<u64, Vec<u8>>,
    /// The block being written.
    open: Vec<u8>,
    len: u64,
}

impl Headers {
    fn block(&mut self, block: &[u8]) {
        if *block != ZEROS[..block.len()] {
            self.blocks.insert(self.len, block.to_vec());
        }
        self.len += block.len() as u64;
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.block(&open);
    }

    /// Writes the bytes from `start` to `end` to `out`.
    fn copy(&self, start: u64, end: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut at = start;
        while at < end {
            let (offset, rest) = ((at % BLOCK as u64) as usize, end - at);
            let block = self.blocks.get(&(at - offset as u64)).map_or(&ZEROS[..], Vec::as_slice);
            let bytes = &block[offset..];
            let bytes = &bytes[..bytes.len().min(usize::try_from(rest).unwrap_or(usize::MAX))];
            out.write_all(bytes)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

impl Write for Headers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.is_empty() && bytes.len() >= BLOCK {
            self.block(&bytes[..BLOCK]);
            return Ok(BLOCK);
        }
        let taken = bytes.len().min(BLOCK - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        if self.open.len() == BLOCK {
            self.close();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Headers {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, mut buffer: &mut [u8]) -> Result<(), FormatError> {
        let end = offset.checked_add(buffer.len() as u64).filter(|&end| end <= self.len);
        let end = end.ok_or_else(|| FormatError::Source("read past the end".into()))?;
        self.copy(offset, end, &mut buffer)
            .map_err(|e| FormatError::Source(e.to_string()))
    }
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dtype: DType) -> NewGroup {
        let mut root = NewGroup::default();
        root.attribute("model_config", Attribute::Bytes("x".repeat(100_000)));
        root.group("b").attribute(
            "names",
            Attribute::List((0..900).map(|i| format!("layer{i}")).collect()),
        );
        root.group("b").attribute("none", Attribute::List(Vec::new()));
        let large = NewDataset {
            shape: vec![70, 100],
            dtype,
            tensor: 0,
        };
        root.dataset("b/large", large.clone()).unwrap();
        let small = NewDataset {
            shape: vec![3],
            tensor: 1,
            ..large
        };
        root.dataset("a/small", small).unwrap();
        root
    }

    /// Tensor `t` is filled with bytes `t + 1`.
    fn written(root: &NewGroup, width: usize) -> Vec<u8> {
        let plan = FilePlan::of(root).unwrap();
        let mut out = Vec::new();
        let written = plan.write(&mut out, |tensor, out| {
            let len = [7000, 3][tensor] * width;
            out.write_all(&vec![tensor as u8 + 1; len])
                .map_err(NotWritten::<()>::Io)
        });
        assert!(written.is_ok());
        assert_eq!(out.len() as u64, plan.len());
        out
    }

    #[test]
    fn values_are_where_the_headers_say_and_the_headers_say_what_was_asked() {
        for (dtype, width) in [(DType::F64, 8), (DType::F32, 4), (DType::F16, 2), (DType::BF16, 2)] {
            let file = File::from_bytes(written(&tree(dtype), width)).unwrap();
            let root = file.root().attrs().unwrap();
            assert_eq!(root["model_config"].as_str().map(str::len), Some(100_000));
            let b = file.root().group("b").unwrap().attrs().unwrap();
            assert_eq!(b["names"].as_strings().unwrap()[899], "layer899");
            let large = file.dataset("b/large").unwrap();
            assert_eq!(large.shape().unwrap(), [70, 100]);
            assert_eq!(large.read_raw().unwrap(), vec![1; 7000 * width]);
            assert_eq!(file.dataset("a/small").unwrap().read_raw().unwrap(), vec![2; 3 * width]);
        }
    }

    #[test]
    fn the_bytes_are_those_hdf5_pure_writes_itself() {
        let mut builder = FileBuilder::new();
        builder.with_libver_bounds(LibVer::Earliest, LibVer::V18);
        let mut group = builder.create_group("b");
        group
            .create_dataset("large")
            .with_f32_data(&vec![1.5; 7000])
            .with_shape(&[70, 100]);
        builder.add_group(group.finish());
        let expected = builder.finish().unwrap();

        let mut root = NewGroup::default();
        let dataset = NewDataset {
            shape: vec![70, 100],
            dtype: DType::F32,
            tensor: 0,
        };
        root.dataset("b/large", dataset).unwrap();
        let mut out = Vec::new();
        let values: Vec<u8> = vec![1.5_f32; 7000].iter().flat_map(|v| v.to_le_bytes()).collect();
        FilePlan::of(&root)
            .unwrap()
            .write(&mut out, |_, out| out.write_all(&values).map_err(NotWritten::<()>::Io))
            .unwrap();
        assert!(out == expected);
    }

    #[test]
    fn a_path_is_taken_once() {
        let mut root = tree(DType::F32);
        let dataset = root.groups["a"].datasets["small"].clone();
        let error = root.dataset("a/small", dataset).unwrap_err();
        assert_eq!(error, "two variables of it belong at `a/small`");
    }

    #[test]
    fn a_tensor_of_another_length_and_a_full_disk_end_the_writing() {
        let plan = FilePlan::of(&tree(DType::F32)).unwrap();
        let short = plan.write(&mut Vec::new(), |_, out| {
            out.write_all(&[0; 8]).map_err(NotWritten::<()>::Io)
        });
        assert!(matches!(short, Err(NotWritten::Io(e)) if e.to_string().contains("8 bytes")));

        let mut room = vec![0; 50_000];
        let full = plan.write(&mut &mut room[..], |tensor, out| {
            out.write_all(&vec![0; [28_000, 12][tensor]])
                .map_err(NotWritten::<()>::Io)
        });
        assert!(matches!(full, Err(NotWritten::Io(e)) if e.kind() == io::ErrorKind::WriteZero));
        let none = plan.write(&mut Vec::new(), |_, _| Err(NotWritten::Tensor("gone")));
        assert!(matches!(none, Err(NotWritten::Tensor("gone"))));
    }

    #[test]
    fn names_that_hdf5_has_not_are_an_error() {
        for name in [".", "a//b"] {
            let mut root = NewGroup::default();
            root.group(name);
            assert!(FilePlan::of(&root).is_err(), "{name}");
        }
    }
}
