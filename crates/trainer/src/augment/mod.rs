//! How pictures are changed at random for training, and how they are prepared for evaluation.
//!
//! One [`Augmentation`], which is one TOML file, holds both the changes and the preparation, because a network needs
//! the same preparation in evaluation as in training:
//!
//! ```
//! use trainer::augment::{Augmentation, AugmentationLevel};
//! use xception_model::picture::Preset;
//!
//! let augmentation = Augmentation::named(AugmentationLevel::Light, 150, Preset::PilBilinear);
//! let text = augmentation.to_toml();
//! assert!(text.contains("[train.random_resized_crop]\nscale = [0.5, 1.0]"));
//! assert_eq!(Augmentation::from_toml(&text)?, augmentation);
//! # Ok::<(), trainer::augment::AugmentError>(())
//! ```
//!
//! The colour operations give Pillow's levels, bit for bit, so that the settings of torchvision and timm mean the same
//! here.

pub mod affine;
mod augmentation;
mod crop;
pub mod enhance;
mod erasing;
mod error;
mod hue;
mod jitter;
mod level;
pub mod levels;
mod mix;
mod planes;
mod rand_augment;
mod train;

pub use augmentation::{Augmentation, Draw, Eval};
pub use crop::RandomResizedCrop;
pub use erasing::RandomErasing;
pub use error::AugmentError;
pub use hue::hue;
pub use jitter::ColorJitter;
pub use level::{AugmentationLevel, UnknownLevel};
pub(crate) use mix::Mixable;
pub use mix::{Cutmix, Mixup};
pub(crate) use planes::{write_pixels, write_planes};
pub use rand_augment::{Operation, RandAugment};
pub use train::Train;
