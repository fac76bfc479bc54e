use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::tensor::{scaled, squared_norm};
use crate::train::trainee::Trainee;

/// Scales all gradients down until their common norm is at most `longest`, and returns their norm before the scaling
/// (`torch.nn.utils.clip_grad_norm_`). Burn's own clipping treats each parameter separately.
pub(crate) fn clip(trainee: &Trainee, gradients: &mut GradientsParams, longest: f64) -> f64 {
    struct Squares<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += squared_norm(gradient);
            }
        }
    }
    let mut squares = Squares(gradients, 0.0);
    trainee.visit(&mut squares);
    let norm = squares.1.sqrt();
    if norm > longest {
        scale(trainee, gradients, longest / norm);
    }
    norm
}

/// Multiplies every gradient.
pub(crate) fn scale(trainee: &Trainee, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a>(&'a mut GradientsParams, f64);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, scaled(gradient, self.1));
            }
        }
    }
    trainee.visit(&mut Scale(gradients, factor));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gradients, look, trainee};
    use super::*;

    #[test]
    fn a_long_gradient_is_cut_to_its_length_and_a_short_one_is_left() {
        let trainee = trainee();
        let count: usize = look(&trainee, &GradientsParams::new())
            .iter()
            .map(|seen| seen.values.len())
            .sum();
        let norm = |gradients: &GradientsParams| {
            let squares = look(&trainee, gradients).into_iter().filter_map(|seen| seen.gradient);
            squares
                .flatten()
                .map(|value| f64::from(value).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let mut long = gradients(&trainee, 3.0);
        let before = clip(&trainee, &mut long, 2.0);
        assert!((before / (3.0 * (count as f64).sqrt()) - 1.0).abs() < 1e-5, "{before}");
        assert!((norm(&long) / 2.0 - 1.0).abs() < 1e-5, "{}", norm(&long));
        let mut short = gradients(&trainee, 1e-6);
        let before = norm(&short);
        clip(&trainee, &mut short, 2.0);
        assert_eq!(norm(&short).to_bits(), before.to_bits());
    }
}
