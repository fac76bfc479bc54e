//! Scans a pickle before any other code reads it: which objects the pickle names, and how large it would become.
//!
//! An unpickler keeps objects; the machine here keeps only their sizes and short texts. A small file that would unfold
//! without end therefore costs no more than its number of opcodes.

mod allowed;
mod machine;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use self::allowed::is_allowed;
use self::machine::{PickleMachine, Problem, Slot, bytes, line, place};

/// timm's checkpoint of a whole training, with optimizer and a second set of weights, has 0.12 MB.
const MAX_BYTES: u64 = 4 << 20;
/// The same checkpoint has 36,000 opcodes. The reader takes up to 100 bytes of memory for each opcode.
const MAX_OPCODES: u32 = 200_000;
/// Limit on objects copied into and out of the memo: the reader keeps each copy separately.
const MAX_COPIED: u64 = 250_000;
/// Limit on bytes of texts copied in this way.
const MAX_COPIED_BYTES: u64 = 16 << 20;
/// Number of names that a message lists.
const SHOWN: usize = 5;

/// The magic number of a PyTorch file before 1.6 in protocol 2, at the start of the file.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The same number in protocols 0 and 1.
const LEGACY_MAGIC_TEXT: &[u8] = b"119547037146038801333356";
/// Number of pickles: magic number, protocol, system, objects, storages. The values follow.
const LEGACY_PICKLES: usize = 5;

/// Scans the pickles of a checkpoint in any of PyTorch's containers.
///
/// # Errors
///
/// Describes the first pickle that names an object which no weight file needs, or that is damaged or far too large.
pub(super) fn scan(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut start = Vec::new();
    (&file)
        .take(512)
        .read_to_end(&mut start)
        .map_err(|error| error.to_string())?;
    if start.starts_with(b"PK") {
        return scan_archive(&file);
    }
    if start.get(257..262) == Some(b"ustar") {
        return Err(
            "a PyTorch file from before 0.1.10 (a tar archive) is not read: load it in PyTorch, \
                    and save its state_dict again"
                .to_owned(),
        );
    }
    let head = start.get(..64).unwrap_or(&start);
    let holds = |magic: &[u8]| head.windows(magic.len()).any(|bytes| bytes == magic);
    let pickles = if holds(&LEGACY_MAGIC) || holds(LEGACY_MAGIC_TEXT) {
        LEGACY_PICKLES
    } else {
        1
    };
    file.rewind().map_err(|error| error.to_string())?;
    let mut reader = BufReader::new(file.take(MAX_BYTES));
    let mut scan = Scan::default();
    for _ in 0..pickles {
        scan.pickle(&mut reader).map_err(|problem| match problem {
            Problem::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof && reader.get_ref().limit() == 0 => {
                too_large()
            }
            problem => problem.to_string(),
        })?;
    }
    scan.verdict()
}

fn too_large() -> String {
    format!("its pickle has more than {MAX_BYTES} bytes, which no checkpoint's has; save its state_dict alone")
}

fn scan_archive(file: &File) -> Result<(), String> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    let mut pickles = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|error| error.to_string())?;
        if name == "data.pkl" || name.ends_with("/data.pkl") {
            pickles.push(name.to_string());
        }
    }
    // The reader reads one pickle, so there must be only one.
    let [name] = pickles.as_slice() else {
        return Err(format!(
            "expected one data.pkl in it, found {}: {}",
            pickles.len(),
            pickles
                .iter()
                .take(SHOWN)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    };
    let index = archive
        .index_for_name(name)
        .ok_or_else(|| format!("{name} cannot be found"))?;
    let raw = archive.by_index_raw(index).map_err(|error| error.to_string())?;
    if raw.encrypted() {
        return Err(format!("{name} is encrypted; decrypt the archive first"));
    }
    drop(raw);
    let entry = archive.by_index(index).map_err(|error| format!("{name}: {error}"))?;
    if entry.size() > MAX_BYTES {
        return Err(too_large());
    }
    let mut scan = Scan::default();
    scan.pickle(&mut BufReader::new(entry.take(MAX_BYTES)))
        .map_err(|problem| format!("{name}: {problem}"))?;
    scan.verdict()
}

#[derive(Default)]
struct Scan {
    opcodes: u32,
    copied: u64,
    copied_bytes: u64,
    /// Objects that the pickle names and that are not on the list.
    refused: BTreeSet<String>,
}

impl Scan {
    fn verdict(self) -> Result<(), String> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = self.refused.iter().take(SHOWN).cloned().collect();
        if self.refused.len() > SHOWN {
            names.push(format!("{} more", self.refused.len() - SHOWN));
        }
        Err(format!(
            "its pickle names {}, which no file of weights needs; nothing of it was run, and it is refused. If you \
             trust the file, {}",
            names.join(", "),
            self.advice()
        ))
    }

    /// How to save the weights alone, for the library whose objects the pickle holds.
    fn advice(&self) -> &'static str {
        let holds = |package: &str| {
            let is_of = |name: &String| name.split('.').next() == Some(package);
            self.refused.iter().any(is_of)
        };
        let holds_only = |beginning: &str| self.refused.iter().all(|name| name.starts_with(beginning));
        if holds("fastai") {
            return "save the weights alone, in Python:
    import torch
    from fastai.learner import load_learner
    torch.save(load_learner(\"export.pkl\").model.state_dict(), \"weights.pth\")";
        }
        if holds("keras") || holds("tensorflow") || holds("tf_keras") {
            return "save the Keras model as Keras does, in Python:
    import pickle
    pickle.load(open(\"model.pkl\", \"rb\")).save(\"model.keras\")";
        }
        if holds("joblib") || holds("sklearn") {
            return "load it, and save the network in it as its own library does, in Python:
    import joblib
    model = joblib.load(\"model.joblib\")
    model.save(\"model.keras\")    # of a Keras model; torch.save(model.state_dict(), \"weights.pth\") of a PyTorch \
         one";
        }
        if holds_only("torch._utils._rebuild_sparse") {
            return "make its sparse tensors dense, in Python:
    import torch
    weights = torch.load(\"model.pth\", map_location=\"cpu\")    # or the entry of it that holds the weights
    torch.save({name: tensor.to_dense() for name, tensor in weights.items()}, \"weights.pth\")";
        }
        if holds_only("torch._utils._rebuild_meta") {
            return "save the model again after its weights are loaded: these tensors are on the device `meta`, and \
                    have shapes without numbers";
        }
        // Modules restore their parameters whatever their class is.
        "save the weights alone, in Python; the model's own class is not needed:
    import pickle, torch
    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                return type(name, (torch.nn.Module,), {})
    pickle.Unpickler = Unpickler
    model = torch.load(\"model.pth\", map_location=\"cpu\", weights_only=False, pickle_module=pickle)
    model = model if hasattr(model, \"state_dict\") else model[\"state_dict\"]    # or the entry that holds the weights
    torch.save(model.state_dict() if hasattr(model, \"state_dict\") else model, \"weights.pth\")"
    }

    fn name(&mut self, module: &str, object: &str) {
        if !is_allowed(module, object) {
            self.refused
                .insert(format!("{module}.{object}").escape_debug().to_string());
        }
    }

    fn copy(&mut self, slot: &Slot) -> Result<(), Problem> {
        self.copied = self.copied.saturating_add(slot.objects);
        self.copied_bytes = self.copied_bytes.saturating_add(slot.bytes);
        if self.copied > MAX_COPIED || self.copied_bytes > MAX_COPIED_BYTES {
            return Err(Problem::Bomb);
        }
        Ok(())
    }

    /// Scans one pickle up to its end.
    fn pickle(&mut self, r: &mut impl BufRead) -> Result<(), Problem> {
        let mut machine = PickleMachine::default();
        loop {
            self.opcodes += 1;
            if self.opcodes > MAX_OPCODES {
                return Err(Problem::Bomb);
            }
            let [opcode] = bytes(r)?;
            // STOP
            if opcode == b'.' {
                return Ok(());
            }
            if !(machine.value(opcode, r)? || machine.container(opcode)? || self.copying(&mut machine, opcode, r)?) {
                self.naming(&mut machine, opcode, r)?;
            }
        }
    }

    /// Opcodes that copy an object.
    fn copying(&mut self, machine: &mut PickleMachine, opcode: u8, r: &mut impl BufRead) -> Result<bool, Problem> {
        match opcode {
            // DUP
            b'2' => {
                let top = machine.top()?.clone();
                self.copy(&top)?;
                machine.stack.push(top);
            }
            // GET, BINGET, LONG_BINGET
            b'g' | b'h' | b'j' => {
                let slot = machine.memo.get(&place(r, opcode)?).cloned();
                let slot = slot.ok_or(Problem::Damaged("it reads an entry of the memo that it never wrote"))?;
                self.copy(&slot)?;
                machine.stack.push(slot);
            }
            // PUT, BINPUT, LONG_BINPUT, MEMOIZE
            b'p' | b'q' | b'r' | 0x94 => {
                let place = match opcode {
                    0x94 => machine.memo.len() as u32,
                    _ => place(r, opcode)?,
                };
                let top = machine.top()?;
                top.memo = Some(place);
                let top = top.clone();
                self.copy(&top)?;
                machine.memo.insert(place, top);
            }
            // BUILD: the memo's copy follows the object's new size.
            b'b' => {
                machine.extend(1)?;
                let top = machine.top()?.clone();
                if let Some(place) = top.memo {
                    self.copy(&top)?;
                    machine.memo.insert(place, top);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that name objects, and opcodes that no checkpoint uses.
    fn naming(&mut self, machine: &mut PickleMachine, opcode: u8, r: &mut impl BufRead) -> Result<(), Problem> {
        match opcode {
            // GLOBAL, INST
            b'c' | b'i' => {
                let (module, object) = (line(r)?, line(r)?);
                self.name(&module, &object);
                // No program has written this opcode since 1996; a refused object is listed with the others.
                if opcode == b'i' {
                    machine.pop_to_mark()?;
                }
                machine.stack.push(Slot::scalar());
            }
            // STACK_GLOBAL
            0x93 => {
                let parts = machine.pop_many(2)?;
                let [Slot { text: Some(module), .. }, Slot { text: Some(object), .. }] = parts.as_slice() else {
                    return Err(Problem::Damaged("it names an object without a text"));
                };
                self.name(module, object);
                machine.stack.push(Slot::scalar());
            }
            other => return Err(Problem::Opcode(other)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(pickle: &[u8]) -> Result<(), String> {
        let mut scan = Scan::default();
        scan.pickle(&mut &*pickle).map_err(|problem| problem.to_string())?;
        scan.verdict()
    }

    #[test]
    fn what_checkpoints_hold_is_allowed() {
        for (module, object) in [
            ("torch", "float32"),
            ("torch", "FloatStorage"),
            ("torch", "BFloat16Storage"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("collections", "OrderedDict"),
            ("argparse", "Namespace"),
            ("builtins", "set"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        ] {
            assert!(is_allowed(module, object), "{module}.{object}");
        }
    }

    #[test]
    fn tensors_without_plain_numbers_have_advice_of_their_own() {
        for (object, advice) in [
            ("_rebuild_sparse_tensor", "to_dense()"),
            ("_rebuild_meta_tensor_no_storage", "after its weights are loaded"),
        ] {
            let pickle = [b"\x80\x02ctorch._utils\n", object.as_bytes(), b"\n)R."].concat();
            let problem = scanned(&pickle).unwrap_err();
            assert!(problem.contains(object) && problem.contains(advice), "{problem}");
            // Beside a module, the advice is the module's.
            let both = [&b"\x80\x02cmodel\nNet\n"[..], &pickle[2..]].concat();
            assert!(scanned(&both).unwrap_err().contains("state_dict"), "{object}");
        }
    }

    #[test]
    fn packages_are_not_trusted_as_a_whole() {
        for (module, object) in [
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("torch.hub", "load"),
            ("torch", "load"),
            ("torch", "FloatStorage.from_file"),
            ("torch.storage", "_load_from_bytes"),
            ("torchevil", "run"),
            ("numpy.testing._private.utils", "runstring"),
            ("numpy", "load"),
            ("collections", "OrderedDict.fromkeys"),
            ("_codecs", "decode"),
            ("torch.nn.modules.conv", "Conv2d"),
            ("", ""),
        ] {
            assert!(!is_allowed(module, object), "{module}.{object}");
        }
    }

    /// Every way in Python to name an object, and to hide it.
    #[test]
    fn a_name_is_found_wherever_it_stands() {
        for pickle in [
            // Called, and the result dropped.
            &b"\x80\x02}(cposix\nsystem\nX\x02\x00\x00\x00id\x85R0u."[..],
            // In the state of an object that is allowed.
            b"\x80\x02cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00acposix\nsystem\nX\x02\x00\x00\x00id\x85Rsb.",
            // Named by two texts, one of them from the memo.
            b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x8c\x02id\x85R.",
            b"\x80\x04\x8c\x05posix\x940h\x00\x8c\x06system\x93\x8c\x02id\x85R.",
            b"(X\x02\x00\x00\x00idiposix\nsystem\n.",
            // Lines that end as on Windows.
            b"cposix\r\nsystem\r\n(X\x02\x00\x00\x00idtR.",
        ] {
            let error = scanned(pickle).unwrap_err();
            assert!(error.contains("posix.system"), "{error}: {}", pickle.escape_ascii());
        }
        assert_eq!(
            scanned(b"\x80\x02}X\x05\x00\x00\x00posixX\x06\x00\x00\x00systems."),
            Ok(())
        );
    }

    #[test]
    fn what_unfolds_without_end_is_refused() {
        let many = |opcode: &[u8]| [b"\x80\x02", opcode.repeat(MAX_OPCODES as usize).as_slice(), b"."].concat();
        // A list that is put into itself twice in each step.
        let doubling = [
            b"\x80\x02]q\x00".as_slice(),
            &b"]q\x01(h\x00h\x00eq\x00".repeat(40),
            b".",
        ]
        .concat();
        // One long text, taken often.
        let text = [
            b"\x80\x02X\x00\x00\x10\x00",
            vec![b'x'; 1 << 20].as_slice(),
            b"q\x00",
            &b"h\x00".repeat(20),
            b".",
        ]
        .concat();
        for bomb in [many(b"}"), many(b"("), many(b"N0"), doubling, text] {
            let error = scanned(&bomb).unwrap_err();
            assert!(error.contains("unfold"), "{error}");
        }
    }

    #[test]
    fn damage_is_told() {
        for (pickle, part) in [
            (&b"\x80\x02"[..], "cut short"),
            (b"\x80\x02X\xff\xff\xff\xffabc", "cut short"),
            (b"\x80\x020.", "a value is missing"),
            (b"\x80\x02(\x85.", "a mark stands"),
            (b"\x80\x02e.", "a mark is missing"),
            (b"\x80\x02h\x07.", "never wrote"),
            (b"\x80\x02\x82\x01.", "opcode 0x82"),
            (b"\x80\x02N)\x93.", "without a text"),
        ] {
            let error = scanned(pickle).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
