//! Channels-last maps as Burn's tensors. Their shape is `[batch, channels, height, width]`; their strides describe the
//! order in memory.

use core::mem::MaybeUninit;
use core::ptr;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Bytes, DType, TensorMetadata};
use burn::tensor::Shape;
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};

use crate::memory::heap::Block;
use crate::train::layout::to_channels_last;

/// A tensor whose values are `[batch, height, width, channels]` in memory, without gaps.
#[derive(Clone, Debug)]
pub(super) struct Map(FlexTensor);

impl Map {
    /// A map of `[batch, height, width, channels]` from the values of a block.
    pub(super) fn new(block: Block, shape: [usize; 4]) -> Self {
        Self(tensor(block, layout(shape)))
    }

    /// Turns any tensor into a map. The values are moved only if they are in another order.
    pub(super) fn from_tensor(tensor: FlexTensor) -> Self {
        let [batch, channels, height, width] = tensor.shape().dims::<4>();
        let shape = [batch, height, width, channels];
        let values: usize = shape.iter().product();
        let whole = tensor.storage::<f32>().len() == values && tensor.layout().start_offset() == 0;
        let strides = tensor.layout().strides().iter().zip(tensor.layout().shape().iter());
        let expected = layout(shape);
        // The stride along an axis of length 1 is never used.
        let alike = strides
            .zip(expected.strides())
            .all(|((own, size), expected)| *size == 1 || own == expected);
        if whole && alike {
            return Self(tensor);
        }
        let tensor = tensor.to_contiguous();
        let mut block = Block::values(values);
        to_channels_last(
            &tensor.storage::<f32>()[..values],
            channels,
            height * width,
            block.as_mut_slice(),
        );
        Self::new(block, shape)
    }

    /// The sizes as `[batch, height, width, channels]`.
    pub(super) fn shape(&self) -> [usize; 4] {
        let [batch, channels, height, width] = self.0.shape().dims::<4>();
        [batch, height, width, channels]
    }

    pub(super) fn values(&self) -> &[f32] {
        self.0.storage()
    }

    /// The map with values that can be changed in place: they are copied if another tensor shares them.
    pub(super) fn into_mut(mut self) -> Self {
        if !self.0.is_unique() {
            let mut block = Block::values(self.values().len());
            block.as_mut_slice().copy_from_slice(self.values());
            self = Self::new(block, self.shape());
        }
        self
    }

    /// The values of a map that [`into_mut`](Self::into_mut) returned.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        self.0.storage_mut()
    }

    pub(super) fn into_tensor(self) -> FlexTensor {
        self.0
    }
}

/// The layout of a map of `[batch, height, width, channels]`.
fn layout([batch, height, width, channels]: [usize; 4]) -> Layout {
    let shape = Shape::new([batch, channels, height, width]);
    if height * width == 1 || channels == 1 {
        // Both orders are the same.
        return Layout::contiguous(shape);
    }
    let strides = [height * width * channels, 1, width * channels, channels];
    Layout::new(shape, strides.map(usize::cast_signed).to_vec(), 0)
}

/// A block's values as a tensor in Burn's order.
pub(super) fn contiguous<const D: usize>(block: Block, shape: [usize; D]) -> FlexTensor {
    tensor(block, Layout::contiguous(Shape::new(shape)))
}

/// A new tensor of the shape of `other`, in Burn's order, with arbitrary values.
pub(super) fn like(other: &FlexTensor) -> FlexTensor {
    let shape = other.shape();
    tensor(Block::values(shape.num_elements()), Layout::contiguous(shape))
}

/// A vector as a tensor.
pub(super) fn vector(values: Vec<f32>) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new([values.len()]));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

fn tensor(block: Block, layout: Layout) -> FlexTensor {
    let len = block.bytes().len();
    // SAFETY: all bytes of a block are initialised.
    let bytes = unsafe { Bytes::from_controller(Box::new(Controller(block)), len) };
    FlexTensor::new(bytes, layout, DType::F32)
}

/// Hands a block to Burn. Dropping the controller gives the block back.
struct Controller(Block);

impl AllocationController for Controller {
    fn alloc_align(&self) -> usize {
        align_of::<u128>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _policy: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: *mut [u8] = self.0.bytes_mut();
        // SAFETY: the layout is the same, and the caller writes only initialised bytes.
        Ok(unsafe { &mut *(bytes as *mut [MaybeUninit<u8>]) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes = ptr::from_ref(self.0.bytes());
        // SAFETY: the layout is the same.
        Ok(unsafe { &*(bytes as *const [MaybeUninit<u8>]) })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn a_map_has_the_values_of_its_tensor() {
        for shape in [[2, 3, 4, 5], [1, 1, 3, 2], [2, 7, 1, 1], [3, 2, 1, 4]] {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
            let map = Map::from_tensor(FlexTensor::from_data(TensorData::new(values.clone(), shape)));
            let [batch, channels, height, width] = shape;
            for (place, value) in map.values().iter().enumerate() {
                let (pixel, channel) = (place / channels, place % channels);
                let (picture, pixel) = (pixel / (height * width), pixel % (height * width));
                let expected = values[(picture * channels + channel) * height * width + pixel];
                assert_eq!(value.to_bits(), expected.to_bits());
            }
            assert_eq!(map.shape(), [batch, height, width, channels]);
            // The tensor is taken as it is.
            let address = map.values().as_ptr();
            let again = Map::from_tensor(map.clone().into_tensor());
            assert_eq!(again.values().as_ptr(), address);
            assert_ne!(again.into_mut().values().as_ptr(), address);
            let data = map.into_tensor().into_data();
            assert_eq!(data.as_slice::<f32>().unwrap(), values);
        }
    }
}
