//! Finds which of a data set's folders are splits, and which are classes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    error::DataError,
    folders::{
        Folder, Tables, deepest, folders, folders_with_pictures, has_loose_pictures, holds_pictures, loose_pictures,
        name_of, names_with_classes, pictures_below,
    },
    options::{ClassFolders, DataOptions},
    spelling::spelling,
    split::Split,
};

/// The folders of a data set.
pub(super) struct Layout {
    pub classes: Vec<ClassFolder>,
    /// The splits that folders name.
    pub given: Vec<Split>,
    /// The folders that contain the classes' folders.
    pub holders: Vec<PathBuf>,
    /// Folders beside the splits' folders.
    pub beside: Vec<String>,
    /// Folders of splits that have pictures but no classes, with the number of their pictures.
    pub unlabelled: Vec<(String, usize)>,
}

/// A folder whose pictures belong to one class.
pub(super) struct ClassFolder {
    pub class: String,
    pub split: Split,
    pub path: PathBuf,
    /// Whether the pictures in its subfolders belong to the class, too.
    pub is_deep: bool,
}

/// A split, and the folder that contains its classes' folders.
struct SplitFolder {
    split: Split,
    folder: PathBuf,
}

impl Layout {
    pub fn find(root: &Path, options: &DataOptions) -> Result<Self, DataError> {
        let top = inside_doubled(root)?;
        let folders = folders(&top)?;
        let mut layout = Self {
            classes: Vec::new(),
            given: Vec::new(),
            holders: Vec::new(),
            beside: Vec::new(),
            unlabelled: Vec::new(),
        };
        let parts = layout.parts(root, &top, &folders, options)?;
        if layout.given.is_empty() && layout.splits_in_classes(&top)? {
            return Ok(layout);
        }
        layout.holders.extend(parts.iter().map(|part| part.folder.clone()));
        if options.class_folders == Some(ClassFolders::Deepest) {
            layout.deepest_classes(root, &parts)?;
            return Ok(layout);
        }
        for part in &parts {
            for folder in self::folders(&part.folder)? {
                layout.classes.push(ClassFolder {
                    class: class_of(&folder)?,
                    split: part.split,
                    path: folder.path,
                    is_deep: true,
                });
            }
        }
        if options.class_folders.is_none() {
            layout.check_nested(root, &parts)?;
        }
        Ok(layout)
    }

    /// The folders that contain the classes' folders: the splits' folders, or the data set's own.
    fn parts(
        &mut self,
        root: &Path,
        top: &Path,
        folders: &[Folder],
        options: &DataOptions,
    ) -> Result<Vec<SplitFolder>, DataError> {
        let whole = vec![SplitFolder {
            split: Split::Train,
            folder: top.to_owned(),
        }];
        let named = named_splits(root, folders)?;
        if options.class_folders != Some(ClassFolders::Top) {
            check_flat(root, folders, &named)?;
        }
        // A `train` folder among other folders, without other splits, is a class: pictures of trains.
        if named.is_empty() || (named.len() == 1 && folders.len() > 1) {
            return Ok(whole);
        }
        let mut parts = Vec::new();
        for (&split, &folder) in &named {
            let holder = inside_doubled(&folder.path)?;
            let loose = loose_pictures(&holder)?;
            if loose > 0 && folders_with_pictures(&holder)?.is_empty() {
                self.unlabelled.push((name_of(root, &holder), loose));
            } else {
                parts.push(SplitFolder { split, folder: holder });
            }
        }
        if !options.judging && !parts.iter().any(|part| part.split == Split::Train) {
            // Pictures without classes are no split. But folders named `train` and `test` are no classes either.
            return Err(if self.unlabelled.is_empty() {
                DataError::NoTraining { path: root.to_owned() }
            } else {
                no_class_folders(root, named.values().copied(), &self.unlabelled)
            });
        }
        if !options.judging && options.class_folders.is_none() {
            self.drop_foreign(root, &mut parts)?;
        }
        let is_part = |folder: &&Folder| named.values().any(|part| part.path == folder.path);
        let beside = folders.iter().filter(|folder| !is_part(folder));
        let beside: Vec<&Folder> = beside.collect();
        if !options.judging {
            check_beside(root, &beside, &parts)?;
        }
        self.beside = beside.iter().map(|folder| name_of(root, &folder.path)).collect();
        // Only the training part has classes; the others are pictures without classes. No split is held out yet.
        if self.unlabelled.is_empty() || parts.len() > 1 {
            self.given = parts.iter().map(|part| part.split).collect();
        }
        Ok(parts)
    }

    /// Removes a split whose only folder is none of the training classes: `val/images`, beside `train/cat`, holds
    /// pictures without classes. Several such folders are refused.
    fn drop_foreign(&mut self, root: &Path, parts: &mut Vec<SplitFolder>) -> Result<(), DataError> {
        let names = |folder: &Path| -> Result<Vec<String>, DataError> {
            Ok(folders_with_pictures(folder)?.iter().map(Folder::shown).collect())
        };
        let training = parts.iter().find(|part| part.split == Split::Train);
        let Some(training) = training.map(|part| part.folder.clone()) else {
            return Ok(());
        };
        let classes = names(&training)?;
        let known: BTreeSet<String> = classes.iter().map(|class| spelling(class)).collect();
        let mut kept = Vec::new();
        for part in parts.drain(..) {
            let inside = names(&part.folder)?;
            let is_foreign = !inside.is_empty() && !inside.iter().any(|name| known.contains(&spelling(name)));
            match inside.as_slice() {
                [only] if is_foreign => {
                    let folder = part.folder.join(only);
                    self.unlabelled.push((name_of(root, &folder), pictures_below(&folder)));
                }
                _ if is_foreign => {
                    return Err(DataError::NoCommonClass {
                        path: root.to_owned(),
                        folder: name_of(root, &part.folder).into(),
                        holds: inside,
                        training: name_of(root, &training).into(),
                        classes,
                    });
                }
                _ => kept.push(part),
            }
        }
        *parts = kept;
        Ok(())
    }

    /// Folders of classes that contain only folders of splits: `cat/train`, `cat/test`, `dog/train`, ...
    fn splits_in_classes(&mut self, top: &Path) -> Result<bool, DataError> {
        let mut classes = Vec::new();
        let outer = folders_with_pictures(top)?;
        if outer.len() < 2 {
            return Ok(false);
        }
        for folder in outer {
            let inner = folders_with_pictures(&folder.path)?;
            let is_split = |folder: &Folder| folder.name.as_deref().and_then(Split::from_cell);
            let splits: Option<BTreeSet<Split>> = inner.iter().map(is_split).collect();
            if inner.len() < 2 || has_loose_pictures(&folder.path) || splits.is_none_or(|splits| splits.len() < 2) {
                return Ok(false);
            }
            let class = class_of(&folder)?;
            classes.extend(inner.into_iter().filter_map(|inner| {
                Some(ClassFolder {
                    class: class.clone(),
                    split: is_split(&inner)?,
                    path: inner.path,
                    is_deep: true,
                })
            }));
        }
        self.given = Split::ALL.to_vec();
        self.given
            .retain(|split| classes.iter().any(|class| class.split == *split));
        self.classes = classes;
        self.holders = vec![top.to_owned()];
        Ok(true)
    }

    /// The folders that hold pictures directly are the classes.
    fn deepest_classes(&mut self, root: &Path, parts: &[SplitFolder]) -> Result<(), DataError> {
        for part in parts {
            let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
            for outer in folders(&part.folder)? {
                for folder in deepest(&outer.path)? {
                    let class = class_of(&folder)?;
                    if let Some(first) = seen.insert(class.clone(), folder.path.clone()) {
                        return Err(DataError::SameClass {
                            path: root.to_owned(),
                            first: name_of(root, &first),
                            second: name_of(root, &folder.path),
                            class,
                        });
                    }
                    self.classes.push(ClassFolder {
                        class,
                        split: part.split,
                        path: folder.path,
                        is_deep: false,
                    });
                }
            }
        }
        Ok(())
    }

    /// Refuses classes' folders that contain several folders with pictures, but no picture directly.
    fn check_nested(&self, root: &Path, parts: &[SplitFolder]) -> Result<(), DataError> {
        let mut nested = None;
        let with_pictures: Vec<&ClassFolder> = self
            .classes
            .iter()
            .filter(|class| holds_pictures(&class.path))
            .collect();
        for class in &self.classes {
            if has_loose_pictures(&class.path) {
                continue;
            }
            let (folder, inner) = match with_pictures.as_slice() {
                [_] => branching(&class.path)?,
                _ => (class.path.clone(), folders_with_pictures(&class.path)?),
            };
            if inner.len() > 1 {
                nested = Some((folder, inner));
                break;
            }
        }
        let Some((nested, inner)) = nested else { return Ok(()) };
        let holds: Vec<String> = inner.iter().map(Folder::shown).collect();
        let mut top: Vec<String> = Vec::new();
        let mut inside: Vec<String> = Vec::new();
        let mut outer_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for part in parts {
            for folder in folders_with_pictures(&part.folder)? {
                top.push(folder.shown());
                let inner: Vec<String> = deepest(&folder.path)?.iter().map(Folder::shown).collect();
                for name in &inner {
                    outer_of.entry(name.clone()).or_default().insert(folder.shown());
                }
                inside.extend(inner);
            }
        }
        // The same classes in several folders: these may be splits under other names.
        let repeated = outer_of.into_values().find(|outer| outer.len() > 1);
        for names in [&mut top, &mut inside] {
            names.sort();
            names.dedup();
        }
        let folder = name_of(root, &nested);
        Err(if top.len() == 1 && parts.len() == 1 {
            DataError::FolderAround {
                path: root.to_owned(),
                class: folder,
                holds,
            }
        } else {
            DataError::NestedClasses {
                path: root.to_owned(),
                folder,
                holds,
                top: top.into(),
                deepest: inside.into(),
                splits: repeated.map(|outer| outer.into_iter().collect()).unwrap_or_default(),
            }
        })
    }
}

/// The error for splits of which none has folders of classes.
fn no_class_folders<'a>(
    root: &Path,
    mut splits: impl Iterator<Item = &'a Folder>,
    unlabelled: &[(String, usize)],
) -> DataError {
    DataError::NoClassFolders {
        path: root.to_owned(),
        folders: unlabelled.iter().map(|(folder, _)| folder.clone()).collect(),
        hint: splits
            .find_map(|folder| names_with_classes(&folder.path))
            .unwrap_or_else(|| Tables::find(root).advice(root)),
    }
}

/// Refuses a folder beside the splits' folders that has several of the training classes and may be the split that has
/// no folder: `evaluation`, `holdout`.
fn check_beside(root: &Path, beside: &[&Folder], parts: &[SplitFolder]) -> Result<(), DataError> {
    let missing = Split::ALL.map(|split| (!parts.iter().any(|part| part.split == split)).then_some(split.name()));
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    let training = parts.iter().find(|part| part.split == Split::Train);
    let (Some(training), false) = (training, missing.is_empty()) else {
        return Ok(());
    };
    let names = |folder: &Path| -> Result<BTreeSet<Option<String>>, DataError> {
        let folders = folders_with_pictures(folder)?.into_iter();
        Ok(folders.map(|folder| folder.name).collect())
    };
    let classes = names(&training.folder)?;
    for folder in beside {
        let inner = names(&folder.path)?;
        if inner.len() > 1 && inner.is_subset(&classes) {
            return Err(DataError::MaybeSplit {
                path: root.to_owned(),
                folder: name_of(root, &folder.path),
                training: name_of(root, &training.folder),
                names: missing.join(" or "),
            });
        }
    }
    Ok(())
}

/// The folder of each split: the folder with the split's name, or else a folder whose name contains this name as a
/// word. The latter must contain folders of pictures, and no pictures directly.
fn named_splits<'a>(root: &Path, folders: &'a [Folder]) -> Result<BTreeMap<Split, &'a Folder>, DataError> {
    let exact: Vec<(Split, &Folder)> = folders
        .iter()
        .filter_map(|folder| Some((Split::from_name(folder.name.as_deref()?)?, folder)))
        .collect();
    let mut named = BTreeMap::new();
    insert_all(root, &exact, &mut named)?;
    let mut by_words = Vec::new();
    for folder in folders {
        let split = folder.name.as_deref().and_then(Split::among_words);
        if let Some(split) = split.filter(|split| !named.contains_key(split))
            && !has_loose_pictures(&folder.path)
            && !folders_with_pictures(&folder.path)?.is_empty()
        {
            by_words.push((split, folder));
        }
    }
    insert_all(root, &by_words, &mut named)?;
    let by_short = by_abbreviation(folders, &named)?;
    insert_all(root, &by_short, &mut named)?;
    Ok(named)
}

/// Folders whose names abbreviate splits, such as `tr` and `te`. Only where no other reading is left: every folder
/// names a split, and the training folder has all classes of the other folders.
fn by_abbreviation<'a>(
    folders: &'a [Folder],
    named: &BTreeMap<Split, &Folder>,
) -> Result<Vec<(Split, &'a Folder)>, DataError> {
    let is_named = |folder: &Folder| named.values().any(|part| part.path == folder.path);
    let mut short = Vec::new();
    for folder in folders.iter().filter(|folder| !is_named(folder)) {
        match folder.name.as_deref().and_then(Split::from_short) {
            Some(split) if !has_loose_pictures(&folder.path) => short.push((split, folder)),
            _ => return Ok(Vec::new()),
        }
    }
    let parts = named.iter().map(|(split, folder)| (*split, *folder));
    let parts: Vec<(Split, &Folder)> = parts.chain(short.iter().copied()).collect();
    let mut classes = Vec::new();
    for (split, folder) in &parts {
        let inner = folders_with_pictures(&folder.path)?;
        let inside: BTreeSet<Option<String>> = inner.into_iter().map(|folder| folder.name).collect();
        classes.push((*split, inside));
    }
    let training = classes.iter().find(|(split, _)| *split == Split::Train);
    let agree = training.is_some_and(|(_, training)| {
        classes
            .iter()
            .all(|(_, inside)| !inside.is_empty() && inside.is_subset(training))
    });
    Ok(if agree && parts.len() > 1 { short } else { Vec::new() })
}

/// Refuses folders of pictures that may be splits or classes: names of splits only, such as `cats_train` and
/// `cats_test`, and `test` or `unlabeled` beside the classes.
fn check_flat(root: &Path, folders: &[Folder], named: &BTreeMap<Split, &Folder>) -> Result<(), DataError> {
    let is_flat = |folder: &Folder| -> Result<bool, DataError> {
        Ok(has_loose_pictures(&folder.path) && folders_with_pictures(&folder.path)?.is_empty())
    };
    let name = |folder: &Folder| folder.name.clone().unwrap_or_default();
    let of_words = |folder: &Folder| {
        Split::among_words(&name(folder))
            .or(Split::from_short(&name(folder)))
            .is_some()
    };
    let exact = folders.iter().all(|folder| Split::from_name(&name(folder)).is_some());
    if folders.len() > 1 && !exact && folders.iter().all(of_words) {
        let mut flat = Vec::new();
        for folder in folders {
            if is_flat(folder)? {
                flat.push(folder);
            }
        }
        if flat.len() == folders.len() {
            return Err(DataError::SplitNames {
                path: root.to_owned(),
                folders: folders.iter().map(Folder::shown).collect(),
                hint: flat
                    .iter()
                    .find_map(|folder| names_with_classes(&folder.path))
                    .unwrap_or_default(),
            });
        }
    }
    if folders.len() > 1 && folders.iter().all(|folder| is_part_of_segmentation(&name(folder))) {
        return Err(DataError::Segmentation {
            path: root.to_owned(),
            folders: folders.iter().map(Folder::shown).collect(),
        });
    }
    if named.len() > 1 || named.contains_key(&Split::Train) {
        return Ok(());
    }
    let mut parts = Vec::new();
    let mut have_classes = false;
    for folder in folders.iter().filter(|folder| holds_pictures(&folder.path)) {
        have_classes |= branching(&folder.path)?.1.len() > 1;
        parts.push(name(folder));
    }
    if !have_classes && are_parts_of_one_set(&parts) {
        return Err(DataError::PartNames {
            path: root.to_owned(),
            folders: parts,
            hint: Tables::find(root).advice(root),
        });
    }
    let mut classes = Vec::new();
    let mut odd = None;
    for folder in folders {
        if is_no_class(&name(folder)) && is_flat(folder)? {
            odd = Some(folder.shown());
        } else if !folders_with_pictures(&folder.path)?.is_empty() || has_loose_pictures(&folder.path) {
            classes.push(folder.shown());
        }
    }
    match odd {
        Some(folder) if classes.len() > 1 => Err(DataError::SplitAmongClasses {
            path: root.to_owned(),
            folder,
            classes,
        }),
        _ => Ok(()),
    }
}

/// Whether a folder has the name of the pictures, or of what is drawn on them, in a data set of outlines or boxes.
fn is_part_of_segmentation(name: &str) -> bool {
    const PARTS: [&str; 12] = [
        "annotation",
        "annotations",
        "groundtruth",
        "image",
        "images",
        "imgs",
        "jpegimages",
        "label",
        "labels",
        "mask",
        "masks",
        "segmentationclass",
    ];
    let letters = name.chars().filter(|char| char.is_alphanumeric());
    PARTS.contains(&&*letters.flat_map(char::to_lowercase).collect::<String>())
}

/// Whether several names differ in a number alone, behind a word for a part of a set of pictures: `images_part_1` and
/// `images_part_2`, `batch01` and `batch02`.
fn are_parts_of_one_set(names: &[String]) -> bool {
    const WORDS: [&str; 20] = [
        "archive", "batch", "chunk", "data", "dataset", "disk", "fold", "folder", "image", "images", "imgs", "part",
        "photos", "pictures", "set", "shard", "split", "subset", "vol", "volume",
    ];
    let stem = |name: &String| {
        let stem = name.trim_end_matches(|char: char| char.is_ascii_digit());
        (stem.len() < name.len()).then(|| stem.to_lowercase())
    };
    let Some(Some(first)) = names.first().map(stem) else {
        return false;
    };
    let last = first
        .split(|char: char| !char.is_alphanumeric())
        .rfind(|word| !word.is_empty());
    names.len() > 1
        && last.is_some_and(|word| WORDS.contains(&word))
        && names.iter().all(|name| stem(name).as_ref() == Some(&first))
}

/// Whether a folder beside the classes has a name that means pictures without a class.
fn is_no_class(name: &str) -> bool {
    const UNLABELLED: [&str; 4] = ["unlabeled", "unlabelled", "unsup", "unsupervised"];
    let name = name.trim().to_lowercase();
    let word = name.trim_end_matches(|char: char| char.is_ascii_digit());
    UNLABELLED.contains(&word)
        || matches!(
            Split::from_name(word).or(Split::of_word(word)),
            Some(Split::Val | Split::Test)
        )
}

fn insert_all<'a>(
    root: &Path,
    folders: &[(Split, &'a Folder)],
    named: &mut BTreeMap<Split, &'a Folder>,
) -> Result<(), DataError> {
    for &(split, folder) in folders {
        if let Some(first) = named.insert(split, folder) {
            return Err(DataError::TwoFolders {
                path: root.to_owned(),
                first: first.shown(),
                second: folder.shown(),
                split,
            });
        }
    }
    Ok(())
}

/// The inner folder of `training_set/training_set`, as archives are often unpacked.
fn inside_doubled(folder: &Path) -> Result<PathBuf, DataError> {
    let mut folder = folder.to_owned();
    loop {
        let outer = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
        let inner = folders(&folder)?;
        let [only] = inner.as_slice() else { return Ok(folder) };
        let same = outer
            .file_name()
            .is_some_and(|name| name.eq_ignore_ascii_case(only.shown()));
        if !same || has_loose_pictures(&folder) || folders(&only.path)?.is_empty() {
            return Ok(folder);
        }
        folder.clone_from(&only.path);
    }
}

/// The first folder, at or below this one, that holds several folders with pictures or pictures of its own; and these
/// folders.
fn branching(folder: &Path) -> Result<(PathBuf, Vec<Folder>), DataError> {
    let mut folder = folder.to_owned();
    loop {
        let inner = folders_with_pictures(&folder)?;
        match inner.as_slice() {
            [only] if !has_loose_pictures(&folder) => folder.clone_from(&only.path),
            _ if has_loose_pictures(&folder) => return Ok((folder, Vec::new())),
            _ => return Ok((folder, inner)),
        }
    }
}

fn class_of(folder: &Folder) -> Result<String, DataError> {
    folder.name.clone().ok_or_else(|| DataError::ClassName {
        path: folder.path.clone(),
    })
}
