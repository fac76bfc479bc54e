//! Layers that take channels apart, reorder them and join them again. The `preprocess_input` of a Caffe network does so
//! in front of a model: `x[..., ::-1]`, or every channel alone and a stack of the channels (Keras 3.15).
//!
//! A channel without its axis is a *plane*. A stack or a new last axis turns planes into maps again.

use graph::{Op, slice_indices};
use serde_json::Value;

use super::call::{argument, constants};
use super::place::{Place, Tensor};
use super::settings::shown;

/// What a layer does with channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// `x[key]`.
    Item,
    /// The reversed order.
    Flip,
    /// Channels chosen by a list of their numbers.
    Take,
    /// Planes become the channels of a map.
    Stack,
    /// A map becomes planes.
    Unstack,
    /// A map becomes maps of fewer channels.
    Split,
    /// A plane becomes a map of one channel.
    ExpandDims,
}

impl Channels {
    /// The layer's kind; `None` for a layer that does something else.
    pub(super) fn of(class: &str, function: Option<&str>) -> Option<Self> {
        Some(match (class, function) {
            ("GetItem", _) | ("SlicingOpLambda", Some("__operators__.getitem")) => Self::Item,
            ("Flip", _) | ("TFOpLambda", Some("reverse")) => Self::Flip,
            ("Take", _) | ("TFOpLambda", Some("gather" | "compat.v1.gather")) => Self::Take,
            ("Stack", _) | ("TFOpLambda", Some("stack")) => Self::Stack,
            ("Unstack", _) | ("TFOpLambda", Some("unstack")) => Self::Unstack,
            ("Split", _) | ("TFOpLambda", Some("split")) => Self::Split,
            ("ExpandDims", _) | ("TFOpLambda", Some("expand_dims")) => Self::ExpandDims,
            _ => return None,
        })
    }
}

/// Adds the operations of such a layer. A layer that takes its input apart returns several outputs.
///
/// # Errors
///
/// The reason why the layer cannot be computed.
pub(super) fn add(at: &mut Place<'_, '_>, kind: Channels) -> Result<Vec<Tensor>, String> {
    if kind == Channels::Stack {
        return stack(at).map(|map| vec![map]);
    }
    let input = at.only_input()?;
    match kind {
        Channels::Item => item(at, input).map(|output| vec![output]),
        Channels::Flip => {
            last_axis(at, rank(input))?;
            let channels = count(input)?;
            Ok(vec![take(at, input, (0..channels).rev().collect())])
        }
        Channels::Take => {
            last_axis(at, rank(input))?;
            let indices = argument(at.layer.arguments, "indices", 1).unwrap_or(&Value::Null);
            let list = indices.is_array() || indices.is_object();
            let numbers = constants(indices).filter(|_| list);
            let numbers =
                numbers.ok_or_else(|| format!("it takes {}, which is no list of channels", shown(indices)))?;
            let channels = count(input)?;
            let places = numbers.iter().map(|number| place(*number as i64, channels));
            let places = places.collect::<Result<_, _>>()?;
            Ok(vec![take(at, input, places)])
        }
        Channels::Unstack => {
            last_axis(at, rank(input))?;
            map_of(input)?;
            let planes = (0..count(input)?).map(|channel| plane(at, input, channel));
            Ok(planes.collect())
        }
        Channels::Split => split(at, input),
        Channels::ExpandDims | Channels::Stack => {
            last_axis(at, rank(input) + 1)?;
            if !input.is_plane {
                return Err("it adds an axis to what is no single channel".into());
            }
            Ok(vec![Tensor {
                is_plane: false,
                ..input
            }])
        }
    }
}

/// A part of a key.
enum Key {
    /// One place.
    One(i64),
    /// Start, end and step; each of them may be open.
    Range([Option<i64>; 3]),
}

fn item(at: &mut Place<'_, '_>, input: Tensor) -> Result<Tensor, String> {
    let place_of_key = argument(at.layer.arguments, "key", 1);
    let key = place_of_key.or_else(|| argument(at.layer.arguments, "slice_spec", 1));
    let key = key.ok_or("its call does not say what it takes")?;
    let keys = keys(key, rank(input)).ok_or_else(|| {
        format!(
            "it takes the part {} of its input; known are parts of the height, the width and the channels",
            shown(key)
        )
    })?;
    let Some((last, sides)) = keys.split_last() else {
        return Err("it takes a part of nothing".into());
    };
    let input = cropped(at, input, sides)?;
    if input.is_plane {
        return match last {
            Key::Range([None | Some(0), None, None | Some(1)]) => Ok(input),
            _ => Err("it takes a part of one channel".into()),
        };
    }
    let channels = count(input)?;
    match last {
        Key::One(channel) => {
            map_of(input)?;
            let channel = place(*channel, channels)?;
            Ok(plane(at, input, channel))
        }
        Key::Range(range) => {
            let places = slice_indices(*range, channels);
            let places = places.ok_or_else(|| format!("it takes no channel of {channels}"))?;
            Ok(take(at, input, places))
        }
    }
}

/// The parts of a key, one for each axis; `None` for a key with anything but numbers, ranges and dots.
fn keys(key: &Value, rank: usize) -> Option<Vec<Key>> {
    let one = std::slice::from_ref(key);
    let list = key.as_array().map_or(one, Vec::as_slice);
    let is_dots = |key: &&Value| key.get("class_name").and_then(Value::as_str) == Some("__ellipsis__");
    let open = rank.checked_sub(list.iter().filter(|key| !is_dots(key)).count())?;
    let every = || Key::Range([None; 3]);
    let mut keys = Vec::with_capacity(rank);
    for key in list {
        if is_dots(&key) {
            // Dots may occur only once.
            if list.iter().filter(is_dots).count() > 1 {
                return None;
            }
            keys.extend((0..open).map(|_| every()));
        } else if let Some(number) = key.as_i64() {
            keys.push(Key::One(number));
        } else {
            // Keras 3 writes a range as an object with its config, Keras 2 as the bare config.
            let range = key.get("config").unwrap_or(key).as_object()?;
            let number = |part: &str| match range.get(part)? {
                Value::Null => Some(None),
                number => number.as_i64().map(Some),
            };
            keys.push(Key::Range([number("start")?, number("stop")?, number("step")?]));
        }
    }
    keys.extend((keys.len()..rank).map(|_| every()));
    Some(keys)
}

/// The map, cropped to the parts that the keys of batch, height and width keep.
fn cropped(at: &mut Place<'_, '_>, input: Tensor, keys: &[Key]) -> Result<Tensor, String> {
    let mut crops = [0; 4];
    for (axis, key) in keys.iter().enumerate() {
        let Key::Range([start, end, None | Some(1)]) = key else {
            return Err("it takes single rows, columns or pictures, or steps over some".into());
        };
        // Only a start counted from the start and an end counted from the end crop pictures of every size.
        let cut = |number: i64| usize::try_from(number).ok();
        let cuts =
            cut(start.unwrap_or(0)).zip(end.map_or(Some(0), |end| cut(end.checked_neg()?).filter(|cut| *cut > 0)));
        match (axis, cuts) {
            (_, Some((0, 0))) => {}
            (1 | 2, Some((before, after))) => (crops[axis - 1], crops[axis + 1]) = (before, after),
            (0, _) => return Err("it takes some of the pictures".into()),
            _ => return Err("the part that it takes depends on the picture's size".into()),
        }
    }
    if crops == [0; 4] {
        return Ok(input);
    }
    map_of(input)?;
    let output = Tensor {
        is_pixel: false,
        ..input
    };
    Ok(at.push_on(Op::Crop { crops }, input, output))
}

/// Planes, or vectors of one feature, become channels.
fn stack(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let planes = at.several_inputs()?;
    if planes.iter().any(|plane| !plane.is_plane) {
        return Err("it stacks maps or vectors; known is a stack of single channels".into());
    }
    last_axis(at, 4)?;
    let output = Tensor {
        is_plane: false,
        channels: Some(planes.len()),
        ..planes[0]
    };
    Ok(match planes[..] {
        [_] => output,
        _ => at.concatenated(&planes, output),
    })
}

fn split(at: &mut Place<'_, '_>, input: Tensor) -> Result<Vec<Tensor>, String> {
    last_axis(at, rank(input))?;
    let channels = count(input)?;
    let config = at.settings.get(&["indices_or_sections"]);
    let sections = config.or_else(|| argument(at.layer.arguments, "num_or_size_splits", 1));
    let sections = sections.unwrap_or(&Value::Null);
    let wrong = || format!("it splits {channels} channels into {}", shown(sections));
    // A number of equal parts, the numbers at which parts begin (Keras 3), or the length of each part (Keras 2).
    let numbers: Option<Vec<usize>> = match sections {
        Value::Array(list) => list
            .iter()
            .map(|number| usize::try_from(number.as_u64()?).ok())
            .collect(),
        number => {
            let parts = number.as_u64().and_then(|parts| usize::try_from(parts).ok());
            let parts = parts.filter(|parts| *parts > 0 && channels.is_multiple_of(*parts));
            parts.map(|parts| (1..parts).map(|part| part * (channels / parts)).collect())
        }
    };
    let mut ends = numbers.ok_or_else(wrong)?;
    if config.is_none() && sections.is_array() {
        let mut end = 0;
        ends = ends
            .iter()
            .map(|length| {
                end += length.min(&channels.saturating_add(1));
                end
            })
            .collect();
        if ends.pop() != Some(channels) {
            return Err(wrong());
        }
    }
    ends.push(channels);
    let mut parts = Vec::with_capacity(ends.len());
    let mut begin = 0;
    for end in ends {
        if end <= begin || end > channels {
            return Err(wrong());
        }
        parts.push(take(at, input, (begin..end).collect()));
        begin = end;
    }
    Ok(parts)
}

/// The channels `channels` of the input, in this order.
fn take(at: &mut Place<'_, '_>, input: Tensor, channels: Vec<usize>) -> Tensor {
    if input.channels == Some(channels.len()) && channels.iter().enumerate().all(|(place, channel)| place == *channel) {
        return input;
    }
    let output = Tensor {
        channels: Some(channels.len()),
        ..input
    };
    at.push_on(Op::Take { channels }, input, output)
}

fn plane(at: &mut Place<'_, '_>, input: Tensor, channel: usize) -> Tensor {
    Tensor {
        is_plane: true,
        ..take(at, input, vec![channel])
    }
}

/// Checks that the layer's axis, or its only axis, is the last of `rank` axes.
pub(super) fn last_axis(at: &Place<'_, '_>, rank: usize) -> Result<(), String> {
    let found = at.settings.get(&["axis"]);
    let found = found.or_else(|| argument(at.layer.arguments, "axis", usize::MAX));
    let axis = match found {
        Some(Value::Array(list)) => match list.as_slice() {
            [axis] => axis.as_i64(),
            _ => None,
        },
        found => found.and_then(Value::as_i64),
    };
    if axis.is_some_and(|axis| axis == -1 || usize::try_from(axis) == Ok(rank - 1)) {
        return Ok(());
    }
    Err(format!(
        "its axis is {}; known is -1, the channels",
        shown(found.unwrap_or(&Value::Null))
    ))
}

/// Number of axes of a tensor, including the batch.
fn rank(input: Tensor) -> usize {
    match (input.is_plane, input.is_map) {
        (true, _) => 3,
        (false, true) => 4,
        (false, false) => 2,
    }
}

fn map_of(input: Tensor) -> Result<(), String> {
    if input.is_map && !input.is_plane {
        return Ok(());
    }
    Err("it takes single values of a vector, or a part of one channel".into())
}

fn count(input: Tensor) -> Result<usize, String> {
    if input.is_plane {
        return Err("it takes a part of one channel".into());
    }
    let channels = input.channels;
    channels.ok_or_else(|| "the file does not say how many channels its input has".into())
}

/// The number of a channel; a negative number is counted from the end.
fn place(number: i64, count: usize) -> Result<usize, String> {
    let from_end = |number: i64| count.checked_sub(usize::try_from(number.unsigned_abs()).ok()?);
    let place = usize::try_from(number).ok().or_else(|| from_end(number));
    let place = place.filter(|place| *place < count);
    place.ok_or_else(|| format!("it takes the channel {number} of {count}"))
}
