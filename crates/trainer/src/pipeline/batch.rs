/// Pictures with their targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The indices of the pictures in [`Dataset::samples`](crate::data::Dataset::samples).
    pub indices: Vec<usize>,
    /// `[pictures, 3, height, width]`, scaled as the network needs.
    pub pixels: Vec<f32>,
    /// `[pictures, classes]`: 1.0 for a label, 0.0 for none, a fraction where pictures are mixed.
    pub targets: Vec<f32>,
    /// The rows of a picture.
    pub height: usize,
    /// The columns of a picture.
    pub width: usize,
}

impl Batch {
    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no pictures. Batches of a pipeline have at least one.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}
