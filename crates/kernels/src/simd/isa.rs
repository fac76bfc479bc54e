//! The instruction set that the kernels run with.

use macerator::{Arch, Simd, Vector, WithSimd};

use super::lanes::{Lanes, Portable};

/// The environment variable that overrides the choice.
const VARIABLE: &str = "KERNELS_ISA";

/// The instruction set that the kernels use, found at run time.
#[derive(Clone, Copy, Debug)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Portable,
    Native(Arch),
}

impl Isa {
    /// The best set of this machine, or the set whose [`name`](Self::name) is in the environment variable
    /// `KERNELS_ISA`, if the machine has that set.
    pub fn detect() -> Self {
        let wanted = std::env::var(VARIABLE).ok();
        wanted
            .and_then(|name| {
                Self::available()
                    .into_iter()
                    .find(|isa| isa.name().eq_ignore_ascii_case(&name))
            })
            .unwrap_or_else(Self::best)
    }

    fn best() -> Self {
        // On other processors `macerator` does not say which operand a maximum with NaN returns.
        let known = cfg!(any(
            target_arch = "x86",
            target_arch = "x86_64",
            target_arch = "aarch64"
        ));
        match Arch::detect() {
            Arch::Scalar => Self::portable(),
            arch if known && !cfg!(miri) => Self(Kind::Native(arch)),
            _ => Self::portable(),
        }
    }

    /// Plain Rust, on any machine.
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// Every set that this machine has, the slowest first.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self::portable()];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Self(Kind::Native(best)) = Self::best() {
            // Each of these sets holds the ones before it.
            for older in [Arch::V2, Arch::V3] {
                if (older as u8) < (best as u8) {
                    sets.push(Self(Kind::Native(older)));
                }
            }
        }
        if let best @ Self(Kind::Native(_)) = Self::best() {
            sets.push(best);
        }
        sets
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Native(Arch::V2) => "SSE4.2",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Native(Arch::V3) => "AVX2+FMA",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Native(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Kind::Native(_) => "NEON",
            #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
            Kind::Native(_) => "vectors",
        }
    }

    /// Runs a kernel with these instructions.
    ///
    /// # Safety
    ///
    /// As the kernel says.
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: the caller's promise is the same.
            Kind::Portable => unsafe { kernel.run::<Portable>() },
            // SAFETY: a native `Isa` is made only by `best` and `available`, of sets that the machine was found to
            // have.
            Kind::Native(arch) => unsafe { arch.dispatch(Native(kernel)) },
        }
    }
}

/// Work that is written once for lanes of any width.
///
/// `run` must be `#[inline(always)]`, down to the last function with lanes in it: only what is inlined into the
/// dispatched function is compiled with its instructions.
pub(crate) trait Kernel {
    type Output;

    /// # Safety
    ///
    /// Each kernel says what its pointers must be.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// A kernel whose safety promise the caller has given: only [`Isa::run`] makes one.
struct Native<K>(K);

impl<K: Kernel> WithSimd for Native<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> K::Output {
        // SAFETY: the caller of `Isa::run` gave the kernel's promise.
        unsafe { self.0.run::<Vector<S, f32>>() }
    }
}
