use std::fmt;
use std::str::FromStr;

/// How gradients become a heat map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): `relu(sum_k mean(dY/dA_k) A_k)`, each channel weighted by
    /// its mean gradient. Made for the last feature map.
    #[default]
    GradCam,
    /// `LayerCAM` (Jiang et al. 2021, IEEE TIP 30, 5875-5888): `relu(sum_k relu(dY/dA_k) A_k)`, each place weighted by
    /// its own gradient. Also suits the finer feature maps of earlier layers.
    LayerCam,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 2] = [Self::GradCam, Self::LayerCam];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::LayerCam => "layer-cam",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::name).join(" and ");
        let known = Self::ALL.into_iter().find(|method| method.name() == name);
        known.ok_or_else(|| format!("there is no method `{name}`; the methods are {names}"))
    }
}
