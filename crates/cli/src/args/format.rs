//! `--format`.

use clap::ValueEnum;

/// Of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictionFormat {
    /// A table for people
    Text,
    /// One array of all pictures
    Json,
    /// One object per line and picture
    Jsonl,
    /// One line per picture and class
    Csv,
}

/// Of feature vectors and maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmbeddingFormat {
    /// `NumPy` array, the names in a text file beside it
    Npy,
    /// Tensor `embeddings`, the names in its metadata
    Safetensors,
    /// One line per picture, its name first
    Csv,
}

/// Of an evaluation's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FigureFormat {
    /// For people
    Text,
    /// Every figure
    Json,
    /// The table of classes, or of several networks
    Csv,
}

/// Of lists and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Text,
    /// For programs
    Json,
}
