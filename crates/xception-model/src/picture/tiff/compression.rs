//! The compressions of TIFF files.

use std::io::Read;

use flate2::read::ZlibDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::{
    super::error::PictureError,
    chunk::Chunk,
    fault::{damaged, unsupported},
    fax,
    header::NONE,
};

/// Fills `out` with the first rows of a strip or tile.
pub(super) fn decompress(chunk: &Chunk<'_>, compression: u64, out: &mut [u8]) -> Result<(), PictureError> {
    let reversed: Vec<u8>;
    let bytes = if chunk.is_reversed {
        let needed = if compression == NONE { out.len() } else { usize::MAX };
        reversed = chunk
            .bytes
            .iter()
            .take(needed)
            .map(|byte| byte.reverse_bits())
            .collect();
        &reversed
    } else {
        chunk.bytes
    };
    let filled = match compression {
        NONE => bytes.get(..out.len()).map(|bytes| out.copy_from_slice(bytes)),
        2..=4 => fax::decode(chunk, bytes, compression, out),
        5 => lzw(bytes, out),
        8 | 32_946 => ZlibDecoder::new(bytes).read_exact(out).ok(),
        32_773 => pack_bits(bytes, out),
        32_809 => thunder_scan(bytes, chunk, out),
        34_925 => lzma(bytes, chunk.max_bytes, out),
        50_000 => zstandard(bytes, out),
        other => {
            let name = match other {
                9 | 10 => "JBIG",
                33_003..=33_007 | 34_712 => "JPEG 2000",
                34_676 | 34_677 => "SGI Log",
                34_887 => "LERC",
                50_001 => "WebP",
                50_002 | 52_546 => "JPEG XL",
                _ => "an unknown method",
            };
            return Err(unsupported(format!("its data are compressed by {name} ({other})")));
        }
    };
    filled.ok_or_else(|| damaged("the data end early or are no code of their compression"))
}

fn lzw(bytes: &[u8], out: &mut [u8]) -> Option<()> {
    // Files of before 1991 have their codes the other way round (libtiff, `LZWPreDecode`).
    let is_old = matches!(bytes, [0, second, ..] if second & 1 == 1);
    let mut decoder = if is_old {
        Decoder::new(BitOrder::Lsb, 8)
    } else {
        Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let result = decoder.decode_bytes(&bytes[read..], &mut out[written..]);
        read += result.consumed_in;
        written += result.consumed_out;
        if !matches!(result.status, Ok(LzwStatus::Ok)) {
            break;
        }
    }
    (written == out.len()).then_some(())
}

/// A dictionary larger than `max_bytes` is refused before memory for it is taken.
fn lzma(bytes: &[u8], max_bytes: u64, out: &mut [u8]) -> Option<()> {
    let limit_kb = u32::try_from(max_bytes / 1024).unwrap_or(u32::MAX);
    XzReader::new_mem_limit(bytes, false, limit_kb).read_exact(out).ok()
}

fn zstandard(bytes: &[u8], out: &mut [u8]) -> Option<()> {
    StreamingDecoder::new(bytes).ok()?.read_exact(out).ok()
}

/// Levels of four bits, as they are, as differences, or repeated (libtiff, `tif_thunder.c`).
fn thunder_scan(bytes: &[u8], chunk: &Chunk<'_>, out: &mut [u8]) -> Option<()> {
    let mut codes = bytes.iter();
    for row in out.chunks_exact_mut(chunk.row_len) {
        let mut levels: Vec<u8> = Vec::with_capacity(chunk.width);
        let mut last = 0_u8;
        while levels.len() < chunk.width {
            let code = *codes.next()?;
            if code >> 6 == 0 {
                let length = levels.len() + usize::from(code);
                levels.resize((length <= chunk.width).then_some(length)?, last);
                continue;
            }
            // The one difference that stands for none.
            let (differences, none, bits): (&[i8], _, _) = match code >> 6 {
                1 => (&[0, 1, 0, -1], 2, [4, 2, 0].as_slice()),
                2 => (&[0, 1, 2, 3, 0, -3, -2, -1], 4, [3, 0].as_slice()),
                _ => {
                    last = code & 15;
                    levels.push(last);
                    continue;
                }
            };
            for shift in bits {
                let index = usize::from(code >> shift) & (differences.len() - 1);
                if index != none {
                    last = last.wrapping_add_signed(differences[index]) & 15;
                    levels.push(last);
                }
            }
        }
        levels.truncate(chunk.width);
        for (byte, pair) in row.iter_mut().zip(levels.chunks(2)) {
            *byte = pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
        }
    }
    Some(())
}

/// TIFF 6.0, section 9.
fn pack_bits(bytes: &[u8], out: &mut [u8]) -> Option<()> {
    let (mut bytes, mut written) = (bytes, 0);
    while written < out.len() {
        let (&head, rest) = bytes.split_first()?;
        let left = &mut out[written..];
        match usize::from(head) {
            count @ 0..=127 => {
                let length = (count + 1).min(left.len());
                left[..length].copy_from_slice(rest.get(..length)?);
                bytes = &rest[length..];
                written += length;
            }
            128 => bytes = rest,
            count => {
                let length = (257 - count).min(left.len());
                left[..length].fill(*rest.first()?);
                bytes = &rest[1..];
                written += length;
            }
        }
    }
    Some(())
}
