//! Inception V3 (arXiv 1512.00567, as `keras/applications/inception_v3.py` builds it) with made-up weights.

use kernels::{Activation, AveragePool, Concat, Convolution, Error, MaxPool, Network, Padding, Value};

use super::head::with_head;

/// A network under construction.
struct Draft<'a> {
    network: Network,
    numbers: &'a [f32],
    names: Vec<String>,
    module: String,
}

impl Draft<'_> {
    fn conv(
        &mut self,
        x: Value,
        outputs: usize,
        kernel: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> Result<Value, Error> {
        let channels = self.network.channels(x)?;
        let [height, width] = kernel;
        self.names.push(format!("{} {height}x{width} {outputs}", self.module));
        self.network.convolution(Convolution {
            bias: Some(&self.numbers[..outputs]),
            stride: [stride; 2],
            padding,
            activation: Activation::Relu,
            ..Convolution::new(x, &self.numbers[..outputs * channels * height * width], outputs, kernel)
        })
    }

    /// Convolutions of stride 1 that keep the size, one after the other.
    fn same(&mut self, x: Value, layers: &[(usize, [usize; 2])]) -> Result<Value, Error> {
        let mut layers = layers.iter();
        layers.try_fold(x, |x, &(outputs, kernel)| {
            self.conv(x, outputs, kernel, 1, Padding::Same)
        })
    }

    fn halving(&mut self, x: Value, outputs: usize) -> Result<Value, Error> {
        self.conv(x, outputs, [3; 2], 2, Padding::VALID)
    }

    fn max_pool(&mut self, x: Value) -> Result<Value, Error> {
        self.names.push(format!("{} max pool", self.module));
        self.network.max_pool(MaxPool {
            stride: [2; 2],
            ..MaxPool::new(x, [3; 2])
        })
    }

    /// An average pooling and a 1 x 1 convolution.
    fn pooled(&mut self, x: Value, outputs: usize) -> Result<Value, Error> {
        self.names.push(format!("{} average pool", self.module));
        let x = self.network.average_pool(AveragePool {
            stride: [1; 2],
            padding: Padding::Same,
            ..AveragePool::new(x, [3; 2])
        })?;
        self.same(x, &[(outputs, [1; 2])])
    }

    fn concat(&mut self, inputs: &[Value]) -> Result<Value, Error> {
        self.names.push(format!("{} concat", self.module));
        self.network.concat(Concat { inputs })
    }
}

/// The network, the names of its layers, and its logits. Every layer takes its weights from the first of `numbers`, of
/// which there are at least `2048 * 1000`.
pub fn inception_v3(network: Network, numbers: &[f32]) -> Result<(Network, Vec<String>, Value), Error> {
    let mut net = Draft {
        network,
        numbers,
        names: vec!["channels last".to_owned()],
        module: "stem".to_owned(),
    };
    let picture = net.network.input();
    let x = net.halving(picture, 32)?;
    let x = net.conv(x, 32, [3; 2], 1, Padding::VALID)?;
    let x = net.same(x, &[(64, [3; 2])])?;
    let x = net.max_pool(x)?;
    let x = net.same(x, &[(80, [1; 2])])?;
    let x = net.conv(x, 192, [3; 2], 1, Padding::VALID)?;
    let mut x = net.max_pool(x)?;
    for (number, outputs) in [32, 64, 64].into_iter().enumerate() {
        net.module = format!("mixed{number}");
        let one = net.same(x, &[(64, [1; 2])])?;
        let five = net.same(x, &[(48, [1; 2]), (64, [5; 2])])?;
        let three = net.same(x, &[(64, [1; 2]), (96, [3; 2]), (96, [3; 2])])?;
        let pool = net.pooled(x, outputs)?;
        x = net.concat(&[one, five, three, pool])?;
    }
    "mixed3".clone_into(&mut net.module);
    let three = net.halving(x, 384)?;
    let double = net.same(x, &[(64, [1; 2]), (96, [3; 2])])?;
    let double = net.halving(double, 96)?;
    let pool = net.max_pool(x)?;
    x = net.concat(&[three, double, pool])?;
    for (number, width) in [128, 160, 160, 192].into_iter().enumerate() {
        net.module = format!("mixed{}", number + 4);
        let one = net.same(x, &[(192, [1; 2])])?;
        let seven = net.same(x, &[(width, [1; 2]), (width, [1, 7]), (192, [7, 1])])?;
        let double = [
            (width, [1; 2]),
            (width, [7, 1]),
            (width, [1, 7]),
            (width, [7, 1]),
            (192, [1, 7]),
        ];
        let double = net.same(x, &double)?;
        let pool = net.pooled(x, 192)?;
        x = net.concat(&[one, seven, double, pool])?;
    }
    "mixed8".clone_into(&mut net.module);
    let three = net.same(x, &[(192, [1; 2])])?;
    let three = net.halving(three, 320)?;
    let seven = net.same(x, &[(192, [1; 2]), (192, [1, 7]), (192, [7, 1])])?;
    let seven = net.halving(seven, 192)?;
    let pool = net.max_pool(x)?;
    x = net.concat(&[three, seven, pool])?;
    for number in [9, 10] {
        net.module = format!("mixed{number}");
        let one = net.same(x, &[(320, [1; 2])])?;
        let three = net.same(x, &[(384, [1; 2])])?;
        let sides = [net.same(three, &[(384, [1, 3])])?, net.same(three, &[(384, [3, 1])])?];
        let three = net.concat(&sides)?;
        let double = net.same(x, &[(448, [1; 2]), (384, [3; 2])])?;
        let sides = [net.same(double, &[(384, [1, 3])])?, net.same(double, &[(384, [3, 1])])?];
        let double = net.concat(&sides)?;
        let pool = net.pooled(x, 192)?;
        x = net.concat(&[one, three, double, pool])?;
    }
    let Draft { network, names, .. } = net;
    with_head((network, names), (x, 2048), numbers)
}
