//! Numbers with a shape.

/// Numbers with a shape, in the order in which the last dimension changes fastest.
#[derive(Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Array {
    /// From numbers in Fortran's order, in which the first dimension changes fastest.
    pub fn from_fortran_order(shape: Vec<usize>, data: &[f32]) -> Self {
        let mut place = vec![0; shape.len()];
        let strides: Vec<usize> = shape
            .iter()
            .scan(1, |stride, side| Some(std::mem::replace(stride, *stride * side)))
            .collect();
        let data = (0..data.len())
            .map(|_| {
                let index: usize = place.iter().zip(&strides).map(|(place, stride)| place * stride).sum();
                for (place, side) in place.iter_mut().zip(&shape).rev() {
                    *place += 1;
                    if *place < *side {
                        break;
                    }
                    *place = 0;
                }
                data.get(index).copied().unwrap_or(f32::NAN)
            })
            .collect();
        Self { shape, data }
    }
}
