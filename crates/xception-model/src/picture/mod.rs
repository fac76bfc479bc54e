//! Pictures: from a file to the pixels that a network was trained on.
//!
//! A network keeps its published accuracy only on the pixels it was trained on, and libraries disagree about them: two
//! JPEG decoders, or two "bilinear" filters, make two different pictures of one file. Every step here therefore
//! reproduces one named library bit for bit, and a [`Preset`] names the whole chain:
//!
//! ```no_run
//! use xception_model::Scaling;
//! use xception_model::picture::{DecodeLimits, Preset};
//!
//! let preset = Preset::KerasNearest;
//! let picture = preset.open("elephant.jpg", &DecodeLimits::default())?;
//! let pixels = preset.apply(&picture, 299, 299)?;
//! let input = pixels.to_nchw(Scaling::Tf); // [3, 299, 299], -1.0..=1.0
//! # Ok::<(), xception_model::picture::PictureError>(())
//! ```
//!
//! Reads the formats of [`PictureFormat`], which are told apart by their content and not by their name.

mod avif;
mod bcn;
mod bilinear;
mod blp;
mod bmp;
mod canvas;
mod dds;
mod decode;
mod error;
mod fault;
mod fits;
mod flatten;
mod fli;
mod formats;
mod ftex;
mod gbr;
mod gif;
mod icns;
mod ico;
mod icon;
mod im;
mod im_header;
mod imt;
mod imt_header;
mod jpeg;
mod jpeg2000;
mod limits;
mod marks;
mod mcidas;
mod msp;
mod nearest;
mod numbers;
mod options;
mod orientation;
mod pcd;
mod pcx;
mod pixar;
mod pixels;
mod png;
mod pnm;
mod preset;
mod psd;
mod python;
mod qoi;
mod resample;
mod sgi;
mod short_gif;
mod short_png;
mod skipped;
mod spider;
mod spider_header;
mod sun;
mod tga;
mod tiff;
mod warning;
mod webp;
mod xbm;
mod xpm;
mod xvthumb;

pub use crate::preset::{CentreCrop, CropFilter, Preset, UnknownPreset};
pub use crate::reading::{AlphaMode, OrientationMode, Reading, SixteenBitMode, TruncatedMode, UnknownMode};
pub use decode::{Decoded, decode, decode_with_warnings, open, open_with_warnings};
pub use error::PictureError;
pub use formats::{ENDINGS, FileKind, HEAD_BYTES, OtherFormat, PictureFormat, is_hidden, is_named_as_picture};
pub use jpeg::jpeg_orientation;
pub use limits::DecodeLimits;
pub use options::DecodeOptions;
pub use pixels::Pixels;
pub use skipped::{SkippedFiles, hidden_pictures};
pub use warning::PictureWarning;
