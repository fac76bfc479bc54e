/// How much each place of a feature map speaks for a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// The rows of the feature map.
    pub height: usize,
    /// The columns of the feature map.
    pub width: usize,
    /// `height * width` values of at least 0, row by row, on the scale of the method.
    pub values: Vec<f32>,
    /// The logit of the class.
    pub logit: f32,
}

impl Heatmap {
    /// The largest value; 0 where nothing speaks for the class.
    pub fn max(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }
}
