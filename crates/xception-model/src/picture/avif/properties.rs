//! The properties of items and tracks, with libavif's rules (`read.c`).

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    reader::Reader,
};

/// A property; what is not looked at keeps its name alone.
#[derive(Clone, Copy)]
pub(super) enum Property<'b> {
    /// `ispe`: the width and the height.
    Size(u32, u32),
    /// `auxC` of items, `auxi` of tracks: what an auxiliary picture is.
    Auxiliary(&'b [u8]),
    /// `colr` with an ICC profile.
    Profile,
    /// `colr` with the numbers of ITU-T H.273.
    Colours(Colours),
    /// `av1C`.
    Coding(Coding),
    /// `clap`, whole.
    Aperture(&'b [u8]),
    /// `irot`: quarters of a turn against the clock.
    Turn(u8),
    /// `imir`: the axis.
    Mirror(u8),
    /// `pixi`: the bits of every plane, which are equal.
    Depth(u8),
    /// `a1op`.
    OperatingPoint(u8),
    /// `lsel`.
    Layer(u16),
    /// `a1lx`: the lengths of layers.
    LayerLengths([u32; 3]),
    /// Another one that libavif knows.
    Known,
    /// One that libavif does not know.
    Unknown,
}

/// How the colours are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Colours {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    pub is_full_range: bool,
}

impl Colours {
    /// What counts where neither the container nor the stream says it.
    pub(super) const UNSPECIFIED: Self = Self {
        primaries: 2,
        transfer: 2,
        matrix: 2,
        is_full_range: true,
    };
}

/// What the container says of the stream. All fields have to be equal in the tiles of a grid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    profile_and_level: u8,
    /// The tier, high bit depth, twelve bits, monochrome, subsampling across and down, and the place of chroma samples.
    flags: u8,
}

impl Coding {
    pub(super) fn depth(self) -> u8 {
        match (self.flags & 0x40 != 0, self.flags & 0x20 != 0) {
            (_, true) => 12,
            (true, false) => 10,
            (false, false) => 8,
        }
    }

    pub(super) fn is_grey(self) -> bool {
        self.flags & 0x10 != 0
    }
}

/// An alpha plane's names.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
];

impl<'b> Property<'b> {
    fn read(kind: [u8; 4], content: &'b [u8], is_track: bool) -> Result<Self, PictureError> {
        let mut content = Reader::new(content);
        Ok(match &kind {
            b"ispe" => {
                content.version_zero()?;
                Self::Size(content.u32()?, content.u32()?)
            }
            b"auxC" if !is_track => Self::auxiliary(content)?,
            b"auxi" if is_track => Self::auxiliary(content)?,
            b"colr" => Self::colours(content)?,
            b"av1C" => Self::coding(content)?,
            b"pasp" => content.bytes(8).map(|_| Self::Known)?,
            b"clap" => Self::Aperture(content.bytes(32)?),
            b"irot" => match content.u8()? {
                angle @ 0..4 => Self::Turn(angle),
                _ => return Err(damaged("a turn has reserved bits")),
            },
            b"imir" => match content.u8()? {
                axis @ 0..2 => Self::Mirror(axis),
                _ => return Err(damaged("a mirror has reserved bits")),
            },
            b"pixi" => Self::depth(content)?,
            b"a1op" => match content.u8()? {
                point @ 0..32 => Self::OperatingPoint(point),
                _ => return Err(damaged("its operating point does not exist")),
            },
            b"lsel" => match content.u16()? {
                layer @ (0..4 | 0xffff) => Self::Layer(layer),
                _ => return Err(damaged("its layer does not exist")),
            },
            b"a1lx" => Self::layers(content)?,
            b"clli" => content.bytes(4).map(|_| Self::Known)?,
            _ => Self::Unknown,
        })
    }

    fn auxiliary(mut content: Reader<'b>) -> Result<Self, PictureError> {
        content.version_zero()?;
        content.text().map(Self::Auxiliary)
    }

    fn colours(mut content: Reader<'b>) -> Result<Self, PictureError> {
        Ok(match &content.kind()? {
            b"rICC" | b"prof" if content.rest().is_empty() => return Err(damaged("its colour profile is empty")),
            b"rICC" | b"prof" => Self::Profile,
            b"nclx" => {
                let [primaries, transfer, matrix] = [content.u16()?, content.u16()?, content.u16()?];
                let range = content.u8()?;
                if range & 0x7f != 0 {
                    return Err(damaged("its colours have reserved bits"));
                }
                Self::Colours(Colours {
                    primaries,
                    transfer,
                    matrix,
                    is_full_range: range != 0,
                })
            }
            _ => Self::Known,
        })
    }

    fn coding(mut content: Reader<'b>) -> Result<Self, PictureError> {
        if content.u8()? != 0x81 {
            return Err(damaged("its coding has an unknown version"));
        }
        let coding = Coding {
            profile_and_level: content.u8()?,
            flags: content.u8()?,
        };
        content.u8()?;
        Ok(Self::Coding(coding))
    }

    fn depth(mut content: Reader<'b>) -> Result<Self, PictureError> {
        content.version_zero()?;
        let count = content.u8()?;
        if !(1..=4).contains(&count) {
            return Err(unsupported(format!("it names {count} planes")));
        }
        let depths = content.bytes(usize::from(count))?;
        if depths
            .iter()
            .any(|&depth| depth != depths[0] || !(1..=16).contains(&depth))
        {
            return Err(unsupported("its planes have different or impossible numbers of bits"));
        }
        Ok(Self::Depth(depths[0]))
    }

    fn layers(mut content: Reader<'b>) -> Result<Self, PictureError> {
        let is_long = match content.u8()? {
            flag @ 0..2 => flag == 1,
            _ => return Err(damaged("its layers have reserved bits")),
        };
        let mut lengths = [0; 3];
        for length in &mut lengths {
            *length = content.short_or_long(is_long)?;
        }
        Ok(Self::LayerLengths(lengths))
    }

    /// Whether an item may have the property, marked as essential or not.
    pub(super) fn may_be(&self, is_essential: bool) -> bool {
        match self {
            Self::LayerLengths(_) => !is_essential,
            Self::OperatingPoint(_) | Self::Layer(_) | Self::Aperture(_) | Self::Turn(_) | Self::Mirror(_) => {
                is_essential
            }
            _ => true,
        }
    }
}

/// All properties of a container.
pub(super) fn read_properties(content: &[u8], is_track: bool) -> Result<Vec<Property<'_>>, PictureError> {
    let mut content = Reader::new(content);
    let mut properties = Vec::new();
    while let Some((kind, content)) = content.child()? {
        properties.push(Property::read(kind, content, is_track)?);
    }
    Ok(properties)
}

/// The properties of one item or track. Of each kind the first one counts.
#[derive(Clone, Default)]
pub(super) struct Properties<'b> {
    all: Vec<Property<'b>>,
}

macro_rules! first {
    ($properties:expr, $pattern:pat => $value:expr) => {
        $properties.all.iter().find_map(|property| match *property {
            $pattern => Some($value),
            _ => None,
        })
    };
}

impl<'b> Properties<'b> {
    pub(super) fn new(all: Vec<Property<'b>>) -> Self {
        Self { all }
    }

    /// The properties of a grid, which has the coding of its tiles.
    pub(super) fn with_coding(mut self, coding: Coding) -> Self {
        self.all.push(Property::Coding(coding));
        self
    }

    pub(super) fn size(&self) -> Option<(u32, u32)> {
        first!(self, Property::Size(width, height) => (width, height))
    }

    pub(super) fn coding(&self) -> Option<Coding> {
        first!(self, Property::Coding(coding) => coding)
    }

    pub(super) fn depth(&self) -> Option<u8> {
        first!(self, Property::Depth(depth) => depth)
    }

    pub(super) fn aperture(&self) -> Option<&'b [u8]> {
        first!(self, Property::Aperture(content) => content)
    }

    pub(super) fn turn(&self) -> Option<u8> {
        first!(self, Property::Turn(angle) => angle)
    }

    pub(super) fn mirror(&self) -> Option<u8> {
        first!(self, Property::Mirror(axis) => axis)
    }

    pub(super) fn operating_point(&self) -> u8 {
        first!(self, Property::OperatingPoint(point) => point).unwrap_or_default()
    }

    /// The layer that is chosen, of several.
    pub(super) fn layer(&self) -> Option<u16> {
        first!(self, Property::Layer(layer) => layer).filter(|&layer| layer != 0xffff)
    }

    pub(super) fn layer_lengths(&self) -> Option<[u32; 3]> {
        first!(self, Property::LayerLengths(lengths) => lengths)
    }

    pub(super) fn auxiliary(&self) -> Option<&'b [u8]> {
        first!(self, Property::Auxiliary(name) => name)
    }

    /// Whether the properties name an alpha plane.
    pub(super) fn name_alpha(&self) -> bool {
        self.auxiliary().is_some_and(|name| ALPHA.contains(&name))
    }

    /// How the colours are meant. One profile and one set of numbers may stand side by side.
    pub(super) fn colours(&self) -> Result<Option<Colours>, PictureError> {
        let profiles = self
            .all
            .iter()
            .filter(|&property| matches!(property, Property::Profile));
        let mut colours = self.all.iter().filter_map(|property| match property {
            Property::Colours(colours) => Some(*colours),
            _ => None,
        });
        let first = colours.next();
        if profiles.count() > 1 || colours.next().is_some() {
            return Err(damaged("its colours are named twice"));
        }
        Ok(first)
    }
}
