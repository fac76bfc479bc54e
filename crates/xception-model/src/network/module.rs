//! The network as a Burn module.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use burn::module::{
    Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use super::Network;
use crate::parameters::Parameters;

/// The name of the module's container for Burn's visitors.
const CONTAINER: &str = "Struct:Network";

impl Module for Network {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.parameters
            .iter()
            .fold(devices, |devices, weights| weights.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|weights| weights.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|weights| weights.to_device(device))
    }

    fn train(self) -> Self {
        self.each(Parameters::train)
    }

    fn valid(&self) -> Self {
        Self {
            parameters: self.parameters.iter().map(Parameters::valid).collect(),
            ..self.clone_description()
        }
    }

    fn materialize(self) -> Self {
        self.each(Parameters::materialize)
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        for (node, weights) in self.graph.nodes.iter().zip(&self.parameters) {
            let parts = || node.path.split('.').filter(|part| !part.is_empty());
            parts().for_each(|part| visitor.enter_module(part, CONTAINER));
            weights.visit(visitor);
            parts().rev().for_each(|part| visitor.exit_module(part, CONTAINER));
        }
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let graph = Arc::clone(&self.graph);
        let mut nodes = graph.nodes.iter();
        self.each(|weights| {
            let path = nodes.next().map_or("", |node| node.path.as_str());
            let parts = || path.split('.').filter(|part| !part.is_empty());
            parts().for_each(|part| mapper.enter_module(part, CONTAINER));
            let weights = weights.map(mapper);
            parts().rev().for_each(|part| mapper.exit_module(part, CONTAINER));
            weights
        })
    }
}

impl Network {
    fn each(self, change: impl FnMut(Parameters) -> Parameters) -> Self {
        Self {
            architecture: self.architecture,
            graph: self.graph,
            parameters: self.parameters.into_iter().map(change).collect(),
        }
    }

    pub(super) fn clone_description(&self) -> Self {
        Self {
            architecture: self.architecture.clone(),
            graph: Arc::clone(&self.graph),
            parameters: Vec::new(),
        }
    }
}

impl ModuleDisplayDefault for Network {
    fn content(&self, content: Content) -> Option<Content> {
        content.set_top_level_type(&self.graph.title).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Network {
    fn format(&self, _: DisplaySettings) -> String {
        let side = self.graph.min_size.max(299);
        match self.summary(side, side) {
            Ok(summary) => summary.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.format(DisplaySettings::default()))
    }
}
