//! A model without its numbers, which stay in the file until they are asked for.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use onnx_ir::{Message, ModelProto};
use protobuf::rt::WireType;
use protobuf::{CodedInputStream, CodedOutputStream};

use crate::error::ConvertError;

/// Memory that nodes, names and small constants may take. Inception-ResNet V2, unoptimised, takes 5 MB.
const MAX_STRUCTURE: u64 = 128 << 20;
/// Memory of an empty message, and of any other field: what the parser makes of two bytes of the file.
const MESSAGE: u64 = 320;
const FIELD: u64 = 32;
/// Numbers of fewer bytes are read with the structure.
const SMALL: u32 = 1 << 10;

/// A message of `onnx.proto` whose parts are looked at.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// What becomes of a field.
enum Part {
    Message(Kind),
    /// Numbers as they are in memory.
    Numbers,
    /// So many bytes of memory for a byte of the file.
    Kept(u64),
    Dropped,
}

impl Kind {
    /// Field numbers of `onnx.proto`.
    fn part(self, field: u32) -> Part {
        match (self, field) {
            (Self::Model, 7) => Part::Message(Self::Graph),
            (Self::Graph, 1) => Part::Message(Self::Node),
            (Self::Node, 5) => Part::Message(Self::Attribute),
            (Self::Graph | Self::Attribute, 5) => Part::Message(Self::Tensor),
            // float_data, raw_data, double_data
            (Self::Tensor, 4 | 9 | 10) => Part::Numbers,
            // Integers of one byte each; the shapes of inputs and outputs.
            (Self::Attribute, 7 | 8) | (Self::Tensor, 1 | 5 | 7) => Part::Kept(8),
            (Self::Graph, 11 | 12) => Part::Kept(64),
            // Versions, names, notes on the model; strings; one number; values beside the model.
            (Self::Model, 1..=3 | 8 | 14)
            | (Self::Graph, 2)
            | (Self::Node, 1..=4 | 7)
            | (Self::Attribute, 1..=4 | 20)
            | (Self::Tensor, 2 | 8 | 13 | 14) => Part::Kept(1),
            // Notes on nodes, functions, other graphs.
            _ => Part::Dropped,
        }
    }
}

/// Reads a model. Its numbers are as if they were in a file beside it, which has no name and is the model's own.
pub(super) fn parse(path: &Path) -> Result<ModelProto, ConvertError> {
    let cannot_read = |source| ConvertError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(cannot_read)?);
    let (mut left, mut bytes) = (MAX_STRUCTURE, Vec::new());
    let mut stream = CodedInputStream::from_buf_read(&mut file);
    let copied = copy(&mut stream, Kind::Model, &mut left, &mut bytes);
    if left == 0 {
        let problem = format!("its graph alone takes more than {} MB of memory", MAX_STRUCTURE >> 20);
        return Err(ConvertError::damaged(path, problem));
    }
    let model = copied.and_then(|()| ModelProto::parse_from_bytes(&bytes));
    model.map_err(|error| ConvertError::damaged(path, format_args!("it is no ONNX model: {error}")))
}

/// Copies a message while the parser's memory lasts.
fn copy(stream: &mut CodedInputStream<'_>, kind: Kind, left: &mut u64, bytes: &mut Vec<u8>) -> protobuf::Result<()> {
    let mut numbers = None;
    let mut out = CodedOutputStream::vec(bytes);
    while *left > 0
        && let Some(tag) = stream.read_raw_tag_or_eof()?
    {
        // The parser says what is wrong.
        let Some(wire) = WireType::new(tag & 7).filter(|_| tag >> 3 != 0) else {
            out.write_raw_varint32(tag)?;
            break;
        };
        let part = kind.part(tag >> 3);
        let charge = if matches!(part, Part::Message(_)) {
            MESSAGE
        } else {
            FIELD
        };
        *left = left.saturating_sub(charge);
        match (wire, part) {
            (_, Part::Dropped) => stream.skip_field(wire)?,
            (WireType::LengthDelimited, part) => {
                let length = stream.read_raw_varint32()?;
                match part {
                    Part::Message(kind) => {
                        let outer = stream.push_limit(u64::from(length))?;
                        let mut inner = Vec::new();
                        copy(stream, kind, left, &mut inner)?;
                        if *left > 0 {
                            stream.pop_limit(outer);
                        }
                        out.write_bytes(tag >> 3, &inner)?;
                    }
                    Part::Numbers if length > SMALL => {
                        numbers = Some([stream.pos(), u64::from(length)]);
                        stream.skip_raw_bytes(length)?;
                    }
                    Part::Kept(_) | Part::Numbers | Part::Dropped => {
                        let growth = if let Part::Kept(growth) = part { growth } else { 1 };
                        *left = left.saturating_sub(u64::from(length).saturating_mul(growth));
                        if *left > 0 {
                            out.write_bytes(tag >> 3, &stream.read_raw_bytes(length)?)?;
                        }
                    }
                }
            }
            (WireType::Varint, _) => {
                out.write_raw_varint32(tag)?;
                out.write_raw_varint64(stream.read_raw_varint64()?)?;
            }
            (WireType::Fixed32, _) => {
                out.write_raw_varint32(tag)?;
                out.write_raw_little_endian32(stream.read_raw_little_endian32()?)?;
            }
            (WireType::Fixed64, _) => {
                out.write_raw_varint32(tag)?;
                out.write_raw_little_endian64(stream.read_raw_little_endian64()?)?;
            }
            (WireType::StartGroup | WireType::EndGroup, _) => {
                out.write_raw_varint32(tag)?;
                break;
            }
        }
    }
    if let Some([offset, length]) = numbers {
        // `external_data`, entries of a key and a value, and `data_location`.
        for (key, value) in [
            ("location", String::new()),
            ("offset", offset.to_string()),
            ("length", length.to_string()),
        ] {
            let mut entry = Vec::new();
            let mut written = CodedOutputStream::vec(&mut entry);
            written.write_string(1, key)?;
            written.write_string(2, &value)?;
            drop(written);
            out.write_bytes(13, &entry)?;
        }
        out.write_enum(14, 1)?;
    }
    out.flush()
}
