//! How much of a model is structure: what is not numbers takes far more memory than bytes in the file.

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

/// Bytes of a model that are not the numbers of its tensors. An empty node has two of them and takes 240 in memory.
pub(super) fn bytes(model: &[u8]) -> protobuf::Result<u64> {
    let numbers = numbers(&mut CodedInputStream::from_bytes(model), Message::Model)?;
    Ok((model.len() as u64).saturating_sub(numbers))
}

fn numbers(stream: &mut CodedInputStream<'_>, message: Message) -> protobuf::Result<u64> {
    let mut total = 0;
    while let Some(tag) = stream.read_raw_tag_or_eof()? {
        let Some(wire) = WireType::new(tag & 7) else {
            // The parser says what is wrong with it.
            return Ok(total);
        };
        // Field numbers of onnx.proto.
        let inner = match (message, tag >> 3) {
            _ if wire != WireType::LengthDelimited => None,
            (Message::Model, 7) => Some(Message::Graph),
            (Message::Graph, 1) => Some(Message::Node),
            (Message::Node, 5) => Some(Message::Attribute),
            (Message::Graph | Message::Attribute, 5) => Some(Message::Tensor),
            // float_data, int32_data, raw_data, double_data
            (Message::Tensor, 4 | 5 | 9 | 10) => {
                let length = stream.read_raw_varint32()?;
                stream.skip_raw_bytes(length)?;
                total += u64::from(length);
                continue;
            }
            _ => None,
        };
        match inner {
            Some(inner) => {
                let length = stream.read_raw_varint32()?;
                let outer = stream.push_limit(u64::from(length))?;
                total += numbers(stream, inner)?;
                stream.pop_limit(outer);
            }
            None => stream.skip_field(wire)?,
        }
    }
    Ok(total)
}
