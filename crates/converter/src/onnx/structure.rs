//! Reads a model without its long numbers, which stay in the file until they are requested.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use onnx_ir::{GraphProto, Message, ModelProto, NodeProto};
use protobuf::CodedOutputStream;
use protobuf::rt::WireType;

use crate::error::ConvertError;

/// Limit on the memory for nodes, names and small constants. Inception-ResNet V2, unoptimised, takes 5 MB.
const MAX_STRUCTURE: u64 = 128 << 20;
/// Memory of an empty message and of any other field: what the parser allocates for two bytes of the file.
const MESSAGE: u64 = 320;
const FIELD: u64 = 32;
/// Numbers of fewer bytes are read with the structure.
const SMALL: u64 = 1 << 10;

/// A message of `onnx.proto` whose parts are read.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// How a field is treated.
enum Treatment {
    Message(Kind),
    /// Numbers that stay in the file.
    Numbers,
    /// Kept; each byte of the file takes this many bytes of memory.
    Kept(u64),
    Dropped,
}

impl Kind {
    /// Field numbers of `onnx.proto`.
    fn treatment(self, field: u32) -> Treatment {
        match (self, field) {
            (Self::Model, 7) => Treatment::Message(Self::Graph),
            (Self::Graph, 1) => Treatment::Message(Self::Node),
            (Self::Node, 5) => Treatment::Message(Self::Attribute),
            (Self::Graph | Self::Attribute, 5) => Treatment::Message(Self::Tensor),
            // float_data, raw_data, double_data
            (Self::Tensor, 4 | 9 | 10) => Treatment::Numbers,
            // Integers of one byte each; the shapes of inputs and outputs.
            (Self::Attribute, 7 | 8) | (Self::Tensor, 1 | 5 | 7) => Treatment::Kept(8),
            (Self::Graph, 11 | 12) => Treatment::Kept(64),
            // Versions, names, notes on the model; strings; one number; values beside the model.
            (Self::Model, 1..=3 | 8 | 14)
            | (Self::Graph, 2)
            | (Self::Node, 1..=4 | 7)
            | (Self::Attribute, 1..=4 | 20)
            | (Self::Tensor, 2 | 8 | 13 | 14) => Treatment::Kept(1),
            // Notes on nodes, functions, other graphs.
            _ => Treatment::Dropped,
        }
    }
}

/// Reads a model. Its numbers look like external data in a file without a name, which stands for the model's own file.
pub(super) fn parse(path: &Path) -> Result<ModelProto, ConvertError> {
    let cannot_read = |source| ConvertError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(cannot_read)?;
    let length = file.metadata().map_err(cannot_read)?.len();
    let mut copy = Copy {
        file: BufReader::new(file),
        at: 0,
        left: MAX_STRUCTURE,
    };
    let bytes = copy.message(Kind::Model, length);
    if copy.left == 0 {
        let most = MAX_STRUCTURE >> 20;
        let problem = format_args!("its graph alone takes more than {most} MB of memory");
        return Err(ConvertError::damaged(path, problem));
    }
    let no_model = |problem: &dyn Display| ConvertError::damaged(path, format_args!("it is no ONNX model: {problem}"));
    let bytes = bytes.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            no_model(&format_args!("{error}; if it was cut short, download or copy it again"))
        }
        _ => no_model(&error),
    })?;
    let mut model = ModelProto::parse_from_bytes(&bytes).map_err(|error| no_model(&error))?;
    if let Some(graph) = model.graph.as_mut() {
        sort(graph);
    }
    Ok(model)
}

/// Puts each node behind the nodes that it reads, as ONNX asks for and ONNX Runtime's converter to 16 bits does not do.
/// Nodes that read each other stay where they are.
fn sort(graph: &mut GraphProto) {
    let makers: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index)))
        .filter(|(output, _)| !output.is_empty())
        .collect();
    let reads = |index: usize| {
        graph.node[index]
            .input
            .iter()
            .filter_map(|input| makers.get(input.as_str()))
    };
    if (0..graph.node.len()).all(|index| reads(index).all(|maker| *maker < index)) {
        return;
    }
    let mut left: Vec<usize> = (0..graph.node.len()).map(|index| reads(index).count()).collect();
    let mut readers = vec![Vec::new(); graph.node.len()];
    for index in 0..graph.node.len() {
        reads(index).for_each(|maker| readers[*maker].push(index));
    }
    let free = (0..graph.node.len()).filter(|index| left[*index] == 0);
    let mut open: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(index)) = open.pop() {
        order.push(index);
        for &reader in &readers[index] {
            left[reader] -= 1;
            if left[reader] == 0 {
                open.push(Reverse(reader));
            }
        }
    }
    if order.len() == graph.node.len() {
        let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    }
}

/// Copies a model without its long numbers, within a memory limit for the parser.
struct Copy {
    file: BufReader<File>,
    /// The position in the file.
    at: u64,
    /// The memory that is left.
    left: u64,
}

impl Copy {
    /// Copies a message up to its end.
    fn message(&mut self, kind: Kind, end: u64) -> io::Result<Vec<u8>> {
        let (mut bytes, mut numbers) = (Vec::new(), None);
        let mut out = CodedOutputStream::vec(&mut bytes);
        while self.at < end && self.left > 0 {
            let tag = self.varint()?;
            let (field, wire) = ((tag >> 3) as u32, WireType::new((tag & 7) as u32));
            let treatment = kind.treatment(field);
            let charge = if matches!(treatment, Treatment::Message(_)) {
                MESSAGE
            } else {
                FIELD
            };
            self.charge(charge, 1);
            let number = match wire {
                _ if field == 0 || tag >> 32 != 0 => return Err(io::Error::other("a wrong field")),
                Some(WireType::Varint) => self.varint()?,
                Some(WireType::Fixed32) => u64::from(u32::from_le_bytes(self.bytes()?)),
                Some(WireType::Fixed64) => u64::from_le_bytes(self.bytes()?),
                Some(WireType::LengthDelimited) => {
                    let length = self.varint()?;
                    let end = self.at.checked_add(length).filter(|inner| *inner <= end);
                    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
                    match treatment {
                        Treatment::Message(kind) => out.write_bytes(field, &self.message(kind, end)?)?,
                        Treatment::Numbers if length > SMALL => {
                            numbers = Some([self.at, length]);
                            self.skip(length)?;
                        }
                        Treatment::Kept(growth) => {
                            self.charge(length, growth);
                            out.write_bytes(field, &self.read(length)?)?;
                        }
                        Treatment::Numbers => out.write_bytes(field, &self.read(length)?)?,
                        Treatment::Dropped => self.skip(length)?,
                    }
                    continue;
                }
                _ => return Err(io::Error::other("a field of a wrong kind")),
            };
            if !matches!(treatment, Treatment::Dropped) {
                out.write_raw_varint64(tag)?;
                match wire {
                    Some(WireType::Fixed32) => out.write_raw_little_endian32(number as u32)?,
                    Some(WireType::Fixed64) => out.write_raw_little_endian64(number)?,
                    _ => out.write_raw_varint64(number)?,
                }
            }
        }
        if let Some([offset, length]) = numbers {
            // `external_data` has entries of a key and a value; then follows `data_location`.
            let [offset, length] = [offset, length].map(|number| number.to_string());
            for (key, value) in [("location", ""), ("offset", &offset), ("length", &length)] {
                let mut entry = Vec::new();
                let mut written = CodedOutputStream::vec(&mut entry);
                written.write_string(1, key)?;
                written.write_string(2, value)?;
                drop(written);
                out.write_bytes(13, &entry)?;
            }
            out.write_enum(14, 1)?;
        }
        out.flush()?;
        drop(out);
        Ok(bytes)
    }

    fn charge(&mut self, bytes: u64, growth: u64) {
        self.left = self.left.saturating_sub(bytes.saturating_mul(growth));
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::other("a number without an end"))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Reads bytes, if the memory limit allows it.
    fn read(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if self.left == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        self.at += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        self.at += length;
        self.file
            .seek_relative(i64::try_from(length).map_err(io::Error::other)?)
    }
}
