use std::fmt;

/// Every difference between a file's tensors and the network's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the network has and the file lacks.
    pub missing: Vec<NameMismatch>,
    /// Tensors that the file has and the network lacks.
    pub unused: Vec<NameMismatch>,
    /// The network's name, the file's name, the expected shape, the found shape.
    pub shapes: Vec<(String, String, Vec<usize>, Vec<usize>)>,
    /// The file's name and type of tensors that hold no floating-point numbers.
    pub dtypes: Vec<(String, String)>,
    /// The file's names of tensors that hold NaN or an infinity.
    pub non_finite: Vec<String>,
    /// What to do about a file of another network.
    pub advice: Option<String>,
}

/// A tensor that one side lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMismatch {
    /// The tensor's name: the network's if it is missing, the file's if it is unused.
    pub name: String,
    /// The shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The most similar name on the other side, if one is similar.
    pub nearest: Option<String>,
}

impl Mismatch {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its tensors are not those of the network it holds")?;
        let mut list = |title: &str, lines: Vec<String>| -> fmt::Result {
            /// A longer list does not help a reader; [`Mismatch`] has all differences.
            const SHOWN: usize = 20;
            if lines.is_empty() {
                return Ok(());
            }
            write!(f, "\n  {} {title}:", lines.len())?;
            for line in lines.iter().take(SHOWN) {
                write!(f, "\n    {line}")?;
            }
            match lines.len().saturating_sub(SHOWN) {
                0 => Ok(()),
                more => write!(f, "\n    and {more} more"),
            }
        };
        list(
            "missing (`xception convert --partial` leaves them at their initial values)",
            self.missing.iter().map(ToString::to_string).collect(),
        )?;
        list(
            "that the network does not have (`xception convert --partial` leaves them out)",
            self.unused.iter().map(ToString::to_string).collect(),
        )?;
        list("of another shape", {
            let shapes = self.shapes.iter();
            let line = |(name, origin, expected, found): &(String, String, Vec<usize>, Vec<usize>)| {
                format!("{origin} for {name}: expected {expected:?}, found {found:?}")
            };
            shapes.map(line).collect()
        })?;
        list("not of floating-point numbers", {
            let dtypes = self.dtypes.iter();
            dtypes.map(|(name, dtype)| format!("{name}: {dtype}")).collect()
        })?;
        list("with a NaN or an infinity", self.non_finite.clone())?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for NameMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.shape)?;
        match &self.nearest {
            Some(nearest) => write!(f, ", most like {nearest}"),
            None => Ok(()),
        }
    }
}
