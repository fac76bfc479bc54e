//! How much of a model is structure: what is not numbers takes far more memory than bytes in the file.

use std::io::BufRead;

use protobuf::CodedInputStream;
use protobuf::rt::WireType;

/// A message of the format that has numbers somewhere in it.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// Sizes of a model, by its file alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Bytes of the file that are not the numbers of its tensors. An empty node has two of them and takes 240 in memory.
    pub(super) structure: u64,
    /// Bytes of memory that the numbers take.
    pub(super) numbers: u64,
    /// Bytes of the file that the numbers take.
    stored: u64,
}

/// Bytes in memory of a byte in the file, for what is not numbers: nodes of two bytes each.
const GROWTH: u64 = 160;

impl Sizes {
    /// Looks through a model without keeping any of it, until it is certain to take more than `most` bytes of memory.
    pub(super) fn of(model: &mut dyn BufRead, length: u64, most: u64) -> protobuf::Result<Self> {
        let mut sizes = Self::default();
        sizes.count(&mut CodedInputStream::from_buf_read(model), Message::Model, most)?;
        sizes.structure = length.saturating_sub(sizes.stored);
        Ok(sizes)
    }

    /// Bytes of memory that the whole model may take.
    pub(super) fn memory(self) -> u64 {
        self.numbers.saturating_add(self.structure.saturating_mul(GROWTH))
    }

    fn count(&mut self, stream: &mut CodedInputStream<'_>, message: Message, most: u64) -> protobuf::Result<()> {
        while self.numbers <= most
            && let Some(tag) = stream.read_raw_tag_or_eof()?
        {
            let (field, wire) = (tag >> 3, WireType::new(tag & 7));
            // The parser ends here, and says what is wrong.
            let (1.., Some(wire)) = (field, wire) else {
                return Ok(());
            };
            // Field numbers of onnx.proto.
            let inner = match (message, field) {
                _ if wire != WireType::LengthDelimited => None,
                (Message::Model, 7) => Some(Message::Graph),
                (Message::Graph, 1) => Some(Message::Node),
                (Message::Node, 5) => Some(Message::Attribute),
                (Message::Graph | Message::Attribute, 5) => Some(Message::Tensor),
                // float_data, int32_data, raw_data, double_data
                (Message::Tensor, 4 | 5 | 9 | 10) => {
                    let length = stream.read_raw_varint32()?;
                    self.stored += u64::from(length);
                    // An integer of 32 bits has a byte in the file, or more.
                    self.numbers += u64::from(length) * if field == 5 { 4 } else { 1 };
                    if self.numbers <= most {
                        stream.skip_raw_bytes(length)?;
                    }
                    continue;
                }
                _ => None,
            };
            match inner {
                Some(inner) => {
                    let length = stream.read_raw_varint32()?;
                    let outer = stream.push_limit(u64::from(length))?;
                    self.count(stream, inner, most)?;
                    if self.numbers <= most {
                        stream.pop_limit(outer);
                    }
                }
                None => stream.skip_field(wire)?,
            }
        }
        Ok(())
    }
}
