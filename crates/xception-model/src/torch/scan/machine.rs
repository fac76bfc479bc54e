//! A pickle machine that keeps the sizes of objects instead of the objects.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// Far longer than any name in Python.
const MAX_NAME: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("its pickle is cut short or damaged: {0}")]
    Io(#[from] io::Error),
    #[error("its pickle is damaged: {0}")]
    Damaged(&'static str),
    #[error("its pickle has the opcode 0x{0:02x}, which no checkpoint has")]
    Opcode(u8),
    #[error("its pickle would unfold to far more than a checkpoint; save its state_dict alone")]
    Bomb,
}

/// What the machine keeps of an object.
#[derive(Clone, Default)]
pub(super) struct Slot {
    pub objects: u64,
    /// Total bytes of the object's texts.
    pub bytes: u64,
    /// The text, if it is short: it may become a name.
    pub text: Option<Rc<str>>,
    /// The object's place in the memo.
    pub memo: Option<u32>,
}

impl Slot {
    pub fn scalar() -> Self {
        Self {
            objects: 1,
            ..Self::default()
        }
    }

    pub fn holds(&mut self, parts: &[Self]) {
        self.text = None;
        for part in parts {
            self.objects = self.objects.saturating_add(part.objects);
            self.bytes = self.bytes.saturating_add(part.bytes);
        }
    }
}

#[derive(Default)]
pub(super) struct PickleMachine {
    pub stack: Vec<Slot>,
    pub marks: Vec<usize>,
    pub memo: HashMap<u32, Slot>,
}

impl PickleMachine {
    /// Opcodes that push a number, a text or an empty container, and opcodes about the pickle itself.
    pub fn value(&mut self, opcode: u8, r: &mut impl BufRead) -> Result<bool, Problem> {
        match opcode {
            // PROTO, FRAME
            0x80 => return Ok(bytes::<1>(r).map(|_| true)?),
            0x95 => return Ok(bytes::<8>(r).map(|_| true)?),
            // NONE, NEWTRUE, NEWFALSE, EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT, EMPTY_SET
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f => self.stack.push(Slot::scalar()),
            // BININT1, BININT2, BININT, BINFLOAT
            b'K' => self.fixed::<1>(r)?,
            b'M' => self.fixed::<2>(r)?,
            b'J' => self.fixed::<4>(r)?,
            b'G' => self.fixed::<8>(r)?,
            // INT, LONG, FLOAT, PERSID
            b'I' | b'L' | b'F' | b'P' => {
                line(r)?;
                self.stack.push(Slot::scalar());
            }
            // UNICODE
            b'V' => {
                let text = line(r)?;
                self.push_text(&text);
            }
            // LONG1, SHORT_BINUNICODE, SHORT_BINBYTES, SHORT_BINSTRING
            0x8a | 0x8c | b'C' | b'U' => {
                let [length] = bytes(r)?;
                self.sized(r, length.into())?;
            }
            // BINUNICODE, BINSTRING, BINBYTES, LONG4
            b'X' | b'T' | b'B' | 0x8b => {
                let length = u32::from_le_bytes(bytes(r)?);
                self.sized(r, length.into())?;
            }
            // BINUNICODE8, BINBYTES8, BYTEARRAY8
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(bytes(r)?);
                self.sized(r, length)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that rearrange the stack.
    pub fn container(&mut self, opcode: u8) -> Result<bool, Problem> {
        match opcode {
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // TUPLE, LIST, DICT, FROZENSET
            b't' | b'l' | b'd' | 0x91 => {
                let parts = self.pop_to_mark()?;
                self.gather(&parts);
            }
            // TUPLE1, TUPLE2, TUPLE3
            0x85..=0x87 => {
                let parts = self.pop_many(usize::from(opcode - 0x84))?;
                self.gather(&parts);
            }
            // A callable and its arguments: REDUCE, NEWOBJ, NEWOBJ_EX
            b'R' | 0x81 | 0x92 => {
                let parts = self.pop_many(if opcode == 0x92 { 3 } else { 2 })?;
                self.gather(&parts);
            }
            // APPEND, SETITEM
            b'a' => self.extend(1)?,
            b's' => self.extend(2)?,
            // APPENDS, SETITEMS, ADDITEMS
            b'e' | b'u' | 0x90 => {
                let parts = self.pop_to_mark()?;
                self.top()?.holds(&parts);
            }
            // POP, also of a mark; POP_MARK
            b'0' if self.mark_on_top() => self.marks.truncate(self.marks.len() - 1),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            // BINPERSID
            b'Q' => {
                self.pop()?;
                self.stack.push(Slot::scalar());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub fn fixed<const N: usize>(&mut self, r: &mut impl BufRead) -> Result<(), Problem> {
        bytes::<N>(r)?;
        self.stack.push(Slot::scalar());
        Ok(())
    }

    pub fn push_text(&mut self, text: &str) {
        self.stack.push(Slot {
            objects: 1,
            bytes: text.len() as u64,
            text: (text.len() <= MAX_NAME).then(|| text.into()),
            memo: None,
        });
    }

    /// A text, bytes or a long number after its length.
    pub fn sized(&mut self, r: &mut impl BufRead, length: u64) -> Result<(), Problem> {
        if length > MAX_NAME as u64 {
            let skipped = io::copy(&mut r.take(length), &mut io::sink())?;
            if skipped != length {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.stack.push(Slot {
                objects: 1,
                bytes: length,
                ..Slot::default()
            });
            return Ok(());
        }
        let mut text = vec![0; length as usize];
        r.read_exact(&mut text)?;
        self.push_text(&String::from_utf8_lossy(&text));
        Ok(())
    }

    pub fn mark_on_top(&self) -> bool {
        self.marks.last() == Some(&self.stack.len())
    }

    pub fn top(&mut self) -> Result<&mut Slot, Problem> {
        if self.mark_on_top() {
            return Err(Problem::Damaged("a mark stands where a value is needed"));
        }
        self.stack.last_mut().ok_or(Problem::Damaged("a value is missing"))
    }

    pub fn pop(&mut self) -> Result<Slot, Problem> {
        self.top()?;
        self.stack.pop().ok_or(Problem::Damaged("a value is missing"))
    }

    /// The last values, in their order.
    pub fn pop_many(&mut self, count: usize) -> Result<Vec<Slot>, Problem> {
        let mut parts = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        parts.reverse();
        Ok(parts)
    }

    pub fn pop_to_mark(&mut self) -> Result<Vec<Slot>, Problem> {
        let mark = self.marks.pop().ok_or(Problem::Damaged("a mark is missing"))?;
        if mark > self.stack.len() {
            return Err(Problem::Damaged("a value is missing"));
        }
        Ok(self.stack.split_off(mark))
    }

    pub fn gather(&mut self, parts: &[Slot]) {
        let mut whole = Slot::scalar();
        whole.holds(parts);
        self.stack.push(whole);
    }

    /// Puts the last values into the container below them.
    pub fn extend(&mut self, count: usize) -> Result<(), Problem> {
        let parts = self.pop_many(count)?;
        self.top()?.holds(&parts);
        Ok(())
    }
}

pub(super) fn bytes<const N: usize>(r: &mut impl BufRead) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    r.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A text up to the end of its line.
pub(super) fn line(r: &mut impl BufRead) -> Result<String, Problem> {
    let mut line = Vec::new();
    r.take(MAX_NAME as u64).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(Problem::Damaged("a name or number without an end"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// A place in the memo.
pub(super) fn place(r: &mut impl BufRead, opcode: u8) -> Result<u32, Problem> {
    match opcode {
        b'h' | b'q' => Ok(bytes::<1>(r)?[0].into()),
        b'j' | b'r' => Ok(u32::from_le_bytes(bytes(r)?)),
        _ => line(r)?
            .parse()
            .map_err(|_| Problem::Damaged("a place of the memo that is no number")),
    }
}
