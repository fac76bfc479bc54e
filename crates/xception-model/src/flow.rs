use alloc::format;
use alloc::vec::Vec;

use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

use crate::block::Block;
use crate::watch::Watch;

/// Blocks one after the other.
///
/// A block's name in a record, and in every path of the module tree, is its Keras number: `middle.block5.sepconv2`. A
/// plain `Vec` would count from 0, which is why the module traits are written out here.
#[derive(Clone, Debug)]
pub struct Flow {
    blocks: Vec<Block>,
}

impl Flow {
    pub(crate) fn new(blocks: impl Iterator<Item = Block>) -> Self {
        Self {
            blocks: blocks.collect(),
        }
    }

    /// The blocks in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn forward(&self, x: Tensor<4>, watch: &mut Watch<'_>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, block| block.forward(x, watch))
    }

    fn each(self, change: impl FnMut(Block) -> Block) -> Self {
        Self::new(self.blocks.into_iter().map(change))
    }
}

/// What Burn's visitors are told about the container of a block.
const CONTAINER: &str = "Struct:Flow";

impl Module for Flow {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.blocks
            .iter()
            .fold(devices, |devices, block| block.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|block| block.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|block| block.to_device(device))
    }

    fn train(self) -> Self {
        self.each(Module::train)
    }

    fn valid(&self) -> Self {
        Self::new(self.blocks.iter().map(Module::valid))
    }

    fn materialize(self) -> Self {
        self.each(Module::materialize)
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        for block in &self.blocks {
            let name = &block.stage().name;
            visitor.enter_module(name, CONTAINER);
            block.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        self.each(|block| {
            let name = block.stage().name.clone();
            mapper.enter_module(&name, CONTAINER);
            let block = block.map(mapper);
            mapper.exit_module(&name, CONTAINER);
            block
        })
    }
}

impl ModuleDisplayDefault for Flow {
    fn content(&self, content: Content) -> Option<Content> {
        let count = self.blocks.len();
        self.blocks
            .iter()
            .fold(content, |content, block| content.add(&block.stage().name, block))
            .set_top_level_type(&format!("Flow<{count}>"))
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Flow {}
