//! Converts any weight file of a trained network to a Burn record and back, with proof.
//!
//! [`open`](open()) reads a file of Keras 1 to 3, PyTorch, safetensors, ONNX or Burn. [`WeightFile::convert`]
//! writes it as any of these (except PyTorch), after checking that every tensor of the network exists, has the right
//! shape and is finite. [`verify`](verify()) compares two files tensor by tensor, bit for bit.
//!
//! ```no_run
//! use converter::{Known, Options, open};
//!
//! # fn main() -> Result<(), converter::ConvertError> {
//! let file = open("xception.pth".as_ref(), &Known { size: Some([299, 299]), ..Known::default() })?;
//! let report = file.convert("xception.bpk".as_ref(), &Options::default())?;
//! println!("{} parameters", report.parameters);
//! # Ok(())
//! # }
//! ```

mod card;
pub mod command;
mod compare;
mod convert;
mod detect;
mod dtype;
pub mod engine;
mod error;
mod flatten;
mod inspect;
mod keras;
mod mismatch;
mod onnx;
mod open;
mod record;
mod safetensors;
mod torch;
mod verify;
mod weight_file;

pub use convert::{Names, Options, OutputFormat, Report};
pub use dtype::Precision;
pub use error::ConvertError;
pub use inspect::{Described, Inspection, TensorStatistics, inspect};
pub use mismatch::{Mismatch, NameMismatch};
pub use open::{open, open_backbone};
pub use verify::{Difference, Verification, verify};
pub use weight_file::{FileTensor, Format, Stage, WeightFile};
pub use xception_model::{Known, Unknown};
