//! The parameters of one operation, in Burn's modules.

use alloc::vec::Vec;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::tensor::Device;
use graph::Op;

/// The parameters of one operation.
#[derive(Clone, Debug)]
pub(crate) enum Parameters {
    /// No parameters.
    Absent,
    /// A kernel, and in some a bias. Stride, padding and groups are in the graph.
    Conv(Conv2d),
    /// Gamma, beta and running statistics.
    Norm(Norm),
    /// Weights `[in, out]`, and in some a bias.
    Dense(Linear),
    /// No parameters, only a random generator and whether it is training.
    Dropout(Dropout),
}

/// A batch norm that may lack gamma or beta. A missing one is constant 1 or 0, stored in no record and never trained.
#[derive(Clone, Debug)]
#[allow(clippy::struct_field_names, reason = "the norm of Burn in it")]
pub(crate) struct Norm {
    pub norm: BatchNorm,
    pub scale: bool,
    pub center: bool,
}

/// Keras's default kernel initializer.
const GLOROT_UNIFORM: Initializer = Initializer::XavierUniform { gain: 1.0 };

impl Parameters {
    /// Random parameters: kernels Glorot-uniform, biases 0, norms 1 and 0, as in Keras.
    pub fn new(op: &Op, device: &Device) -> Self {
        match op {
            Op::Conv(conv) => {
                let mut module = Conv2dConfig::new(conv.channels, conv.kernel)
                    .with_groups(conv.groups)
                    .with_bias(false)
                    .with_initializer(GLOROT_UNIFORM)
                    .init(device);
                if conv.is_depthwise() {
                    // Keras computes the fans of a depthwise kernel `[3, 3, channels, 1]` from `channels` inputs and 1
                    // output (`compute_fans` in `keras/src/initializers/random_initializers.py`); Burn from 1 and 1.
                    let [input, output] = conv.channels;
                    let taps = conv.kernel[0] * conv.kernel[1];
                    module.weight = GLOROT_UNIFORM.init_with(
                        [output, 1, conv.kernel[0], conv.kernel[1]],
                        Some(taps * input),
                        Some(taps * output / input),
                        device,
                    );
                }
                if conv.bias {
                    module.bias = Some(Initializer::Zeros.init([conv.channels[1]], device));
                }
                Self::Conv(module)
            }
            Op::BatchNorm(norm) => Self::Norm(Norm {
                norm: BatchNormConfig::new(norm.channels)
                    .with_epsilon(norm.epsilon)
                    .with_momentum(norm.momentum)
                    .init(device),
                scale: norm.scale,
                center: norm.center,
            }),
            Op::Dense(dense) => {
                let mut module = LinearConfig::new(dense.features[0], dense.features[1])
                    .with_bias(false)
                    .with_initializer(GLOROT_UNIFORM)
                    .init(device);
                if dense.bias {
                    module.bias = Some(Initializer::Zeros.init([dense.features[1]], device));
                }
                Self::Dense(module)
            }
            Op::Dropout { rate } => Self::Dropout(DropoutConfig::new(*rate).init()),
            _ => Self::Absent,
        }
    }

    pub fn device(&self) -> Option<Device> {
        match self {
            Self::Conv(conv) => Some(conv.weight.lazy_device()),
            Self::Norm(norm) => Some(norm.norm.gamma.lazy_device()),
            Self::Dense(dense) => Some(dense.weight.lazy_device()),
            Self::Absent | Self::Dropout(_) => None,
        }
    }

    /// The ids of the tensors that training changes, and of the running statistics.
    pub fn param_ids(&self) -> Vec<ParamId> {
        struct Ids(Vec<ParamId>);
        impl ModuleVisitor for Ids {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<burn::tensor::Tensor<D>>) {
                self.0.push(param.id);
            }

            fn visit_flag(&mut self, flag: &burn::module::Param<burn::module::Flag>) {
                self.0.push(flag.id);
            }
        }
        let mut ids = Ids(Vec::new());
        self.visit(&mut ids);
        ids.0
    }

    pub fn collect_devices(&self, devices: Devices) -> Devices {
        match self {
            Self::Conv(conv) => conv.collect_devices(devices),
            Self::Norm(norm) => norm.norm.collect_devices(devices),
            Self::Dense(dense) => dense.collect_devices(devices),
            Self::Absent | Self::Dropout(_) => devices,
        }
    }

    pub fn fork(self, device: &Device) -> Self {
        self.each(
            |conv| conv.fork(device),
            |norm| norm.fork(device),
            |dense| dense.fork(device),
            |dropout| dropout.fork(device),
        )
    }

    #[allow(clippy::wrong_self_convention, reason = "as Burn's Module has it")]
    pub fn to_device(self, device: &Device) -> Self {
        self.each(
            |conv| conv.to_device(device),
            |norm| norm.to_device(device),
            |dense| dense.to_device(device),
            |dropout| dropout.to_device(device),
        )
    }

    pub fn train(self) -> Self {
        self.each(Module::train, Module::train, Module::train, Module::train)
    }

    pub fn valid(&self) -> Self {
        self.clone().each(
            |conv| conv.valid(),
            |norm| norm.valid(),
            |dense| dense.valid(),
            |dropout| dropout.valid(),
        )
    }

    pub fn materialize(self) -> Self {
        self.each(
            Module::materialize,
            Module::materialize,
            Module::materialize,
            Module::materialize,
        )
    }

    fn each(
        self,
        conv: impl FnOnce(Conv2d) -> Conv2d,
        norm: impl FnOnce(BatchNorm) -> BatchNorm,
        dense: impl FnOnce(Linear) -> Linear,
        dropout: impl FnOnce(Dropout) -> Dropout,
    ) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Conv(module) => Self::Conv(conv(module)),
            Self::Norm(module) => Self::Norm(Norm {
                norm: norm(module.norm),
                ..module
            }),
            Self::Dense(module) => Self::Dense(dense(module)),
            Self::Dropout(module) => Self::Dropout(dropout(module)),
        }
    }

    pub fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        match self {
            Self::Absent => {}
            Self::Conv(conv) => conv.visit(visitor),
            Self::Norm(norm) if norm.scale && norm.center => norm.norm.visit(visitor),
            Self::Norm(norm) => norm.visit(visitor),
            Self::Dense(dense) => dense.visit(visitor),
            Self::Dropout(dropout) => dropout.visit(visitor),
        }
    }

    pub fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Conv(conv) => Self::Conv(conv.map(mapper)),
            Self::Norm(norm) if norm.scale && norm.center => Self::Norm(Norm {
                norm: norm.norm.map(mapper),
                ..norm
            }),
            Self::Norm(norm) => Self::Norm(norm.map(mapper)),
            Self::Dense(dense) => Self::Dense(dense.map(mapper)),
            Self::Dropout(dropout) => Self::Dropout(dropout.map(mapper)),
        }
    }
}

/// The container of a batch norm's parts, named as in Burn's derived code.
const BATCH_NORM: &str = "Struct:BatchNorm";

/// Visits the existing parts, in Burn's order.
impl Norm {
    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        let BatchNorm {
            gamma,
            beta,
            training,
            running_mean,
            running_var,
            ..
        } = &self.norm;
        if self.scale {
            visit_part(visitor, "gamma", gamma);
        }
        if self.center {
            visit_part(visitor, "beta", beta);
        }
        visit_part(visitor, "training", training);
        visit_part(visitor, "running_mean", running_mean);
        visit_part(visitor, "running_var", running_var);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let Self {
            mut norm,
            scale,
            center,
        } = self;
        if scale {
            norm.gamma = map_part(mapper, "gamma", norm.gamma);
        }
        if center {
            norm.beta = map_part(mapper, "beta", norm.beta);
        }
        norm.training = map_part(mapper, "training", norm.training);
        norm.running_mean = map_part(mapper, "running_mean", norm.running_mean);
        norm.running_var = map_part(mapper, "running_var", norm.running_var);
        Self { norm, scale, center }
    }
}

fn visit_part<M: Module>(visitor: &mut impl ModuleVisitor, name: &str, part: &M) {
    visitor.enter_module(name, BATCH_NORM);
    part.visit(visitor);
    visitor.exit_module(name, BATCH_NORM);
}

fn map_part<M: Module>(mapper: &mut impl ModuleMapper, name: &str, part: M) -> M {
    mapper.enter_module(name, BATCH_NORM);
    let part = part.map(mapper);
    mapper.exit_module(name, BATCH_NORM);
    part
}
