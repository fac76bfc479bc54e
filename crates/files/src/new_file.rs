use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::folder::{folder_of, is_folder, sync_folder};
use crate::ordinary::Kind;
use crate::scratch::Scratch;
use crate::unfinished::{PREFIX, SUFFIX};

/// A file under construction. It lies beside its target under another name, and is removed when this value is dropped.
///
/// The target is a file, a link (the file that it leads to is replaced, or made), or does not exist.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    scratch: Scratch,
    target: PathBuf,
    overwrite: bool,
}

impl NewFile {
    /// Creates a file that will become `target`.
    ///
    /// # Errors
    ///
    /// Those of [`check_target`], [`FileError::NoFolder`], or [`FileError::System`].
    pub fn create(target: &Path, overwrite: bool) -> Result<Self, FileError> {
        check_target(target, overwrite)?;
        let target = &behind_links(target)?;
        let folder = folder_of(target);
        is_folder(folder)?;
        let (file, scratch) = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            // Permissions follow the user's mask, as for any file. tempfile's own file could be read by its owner only.
            .make_in(folder, |path| {
                OpenOptions::new().read(true).write(true).create_new(true).open(path)
            })
            .map_err(FileError::system("write", target))?
            .into_parts();
        let scratch = Scratch::new(scratch);
        Ok(Self {
            file,
            scratch,
            target: target.to_owned(),
            overwrite,
        })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Syncs the content, renames the file to its target, and syncs the folder.
    ///
    /// # Errors
    ///
    /// [`FileError::Exists`] if a file of that name appeared in the meantime and must not be replaced, or
    /// [`FileError::System`]. The target is unchanged, unless only the sync of its folder failed.
    pub fn publish(self) -> Result<(), FileError> {
        self.file.sync_all().map_err(FileError::system("write", &self.target))?;
        let folder = folder_of(&self.target).to_owned();
        self.publish_unsynced()?;
        sync_folder(&folder)
    }

    /// As [`publish`](Self::publish), but a power cut may leave a damaged file: for files that are verified when they
    /// are read.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_unsynced(self) -> Result<(), FileError> {
        let Self {
            file,
            scratch,
            target,
            overwrite,
        } = self;
        drop(file);
        take_name(scratch, &target, overwrite)
    }
}

/// Renames a complete file to its target.
fn take_name(scratch: Scratch, target: &Path, overwrite: bool) -> Result<(), FileError> {
    let scratch = scratch.into_path();
    let write_error = |source| FileError::system("write", target)(source);
    if overwrite {
        inherit_permissions(&scratch, target).map_err(write_error)?;
        return scratch.persist(target).map_err(|error| write_error(error.error));
    }
    match scratch.persist_noclobber(target) {
        Ok(()) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists || target.symlink_metadata().is_ok() => {
            Err(FileError::Exists {
                path: target.to_owned(),
            })
        }
        // On file systems without hard links (FAT, some network disks) another process could create the target between
        // this check and the rename.
        Err(error) => error.path.persist(target).map_err(|error| write_error(error.error)),
    }
}

/// The new file gets the permissions of the one it replaces, so that a private file stays private.
fn inherit_permissions(scratch: &Path, target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if cfg!(unix) && metadata.is_file() => fs::set_permissions(scratch, metadata.permissions()),
        _ => Ok(()),
    }
}

/// The folder of a file, or of the file that a link leads to.
///
/// # Errors
///
/// [`FileError::System`] for links in a circle.
pub fn folder_behind_links(path: &Path) -> Result<PathBuf, FileError> {
    behind_links(path).map(|file| folder_of(&file).to_owned())
}

/// The file that a link leads to, through other links; it may not exist.
fn behind_links(path: &Path) -> Result<PathBuf, FileError> {
    /// As Linux.
    const LONGEST_CHAIN: usize = 40;

    let mut file = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        match fs::read_link(&file) {
            Ok(next) => file = folder_of(&file).join(next),
            Err(_) => return Ok(file),
        }
    }
    Err(FileError::system("write", path)(io::Error::other(
        "its links lead in a circle",
    )))
}

/// Refuses early what a new file could not, or must not, replace: a folder, a pipe, a device, and without `overwrite`
/// anything of that name, including a dangling link. A path that ends like a folder's is refused, too.
///
/// # Errors
///
/// [`FileError::Folder`], [`FileError::NotOrdinary`], [`FileError::Exists`].
pub fn check_target(path: &Path, overwrite: bool) -> Result<(), FileError> {
    if path
        .as_os_str()
        .as_encoded_bytes()
        .last()
        .is_some_and(|&last| std::path::is_separator(last.into()))
        || path.file_name().is_none()
    {
        return Err(FileError::Folder { path: path.to_owned() });
    }
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let kind = Kind::of(path);
    let path = path.to_owned();
    match kind {
        Ok(Kind::Folder) => Err(FileError::Folder { path }),
        Ok(Kind::Pipe | Kind::Device) => Err(FileError::NotOrdinary { path }),
        _ if !overwrite => Err(FileError::Exists { path }),
        _ => Ok(()),
    }
}

/// Writes these bytes as a file, durably, and entirely or not at all.
///
/// # Errors
///
/// Those of [`NewFile::create`] and [`NewFile::publish`].
pub fn write(path: &Path, overwrite: bool, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, overwrite, |file| file.write_all(bytes))
}

/// As [`write`](fn@write), with the content that `fill` writes.
///
/// # Errors
///
/// As [`write`](fn@write); an error of `fill` is returned as [`FileError::System`].
pub fn write_with(
    path: &Path,
    overwrite: bool,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut new = NewFile::create(path, overwrite)?;
    fill(new.file()).map_err(FileError::system("write", path))?;
    new.publish()
}

/// As [`write_with`], for a `fill` that opens the path itself, or replaces the file there.
///
/// # Errors
///
/// As [`write_with`].
pub fn write_at(path: &Path, overwrite: bool, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FileError> {
    let NewFile {
        file, scratch, target, ..
    } = NewFile::create(path, overwrite)?;
    (|| {
        let permissions = file.metadata()?.permissions();
        drop(file);
        fill(scratch.path())?;
        fs::set_permissions(scratch.path(), permissions)?;
        sync_file(scratch.path())
    })()
    .map_err(FileError::system("write", path))?;
    take_name(scratch, &target, overwrite)?;
    sync_folder(folder_of(&target))
}

/// Syncs a finished file, renames it to its target, and syncs the folder. An existing file of that name is replaced.
///
/// # Errors
///
/// [`FileError::System`].
pub fn publish(from: &Path, to: &Path) -> Result<(), FileError> {
    sync_file(from).map_err(FileError::system("write", from))?;
    rename(from, to)
}

/// Renames a file or folder, and makes the rename durable.
///
/// # Errors
///
/// [`FileError::System`].
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::system("create", to))?;
    sync_folder(folder_of(to))
}

/// Removes a file, if it exists.
///
/// # Errors
///
/// [`FileError::System`].
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::system("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Windows syncs only through a handle with write permission.
fn sync_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_only_on_request() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        write(&path, false, b"first").unwrap();
        let error = write(&path, false, b"second").unwrap_err();
        assert_eq!(error.to_string(), format!("{} exists already", path.display()));
        assert_eq!(error.into_io().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(&path, true, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(names(home.path()), ["file"]);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let mut new = NewFile::create(&path, false).unwrap();
        new.file().write_all(b"ours").unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(matches!(new.publish(), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(home.path()), ["file"]);
    }

    #[test]
    fn the_name_appears_last() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "old").unwrap();
        write_with(&path, true, |file| {
            file.write_all(b"new")?;
            file.sync_all()?;
            assert_eq!(fs::read(&path)?, b"old", "a kill here costs nothing");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_failure_leaves_nothing_and_costs_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let full = || Err(io::Error::from(ErrorKind::StorageFull));
        for there in [false, true] {
            if there {
                fs::write(&path, "old").unwrap();
            }
            let results = [
                write_with(&path, true, |file| {
                    file.write_all(b"half")?;
                    full()
                }),
                write_at(&path, true, |scratch| {
                    fs::write(scratch, "half")?;
                    full()
                }),
            ];
            // Dropped without publishing, as after an error of the caller.
            drop(NewFile::create(&path, true).unwrap());
            for result in results {
                let error = result.unwrap_err().to_string();
                assert!(
                    error.starts_with(&format!("cannot write {}: ", path.display())),
                    "{error}"
                );
            }
            if there {
                assert_eq!(fs::read(&path).unwrap(), b"old");
                assert_eq!(names(home.path()), ["file"]);
            } else {
                assert_eq!(names(home.path()), [""; 0]);
            }
        }
    }

    /// A limit on the file size stands in for a full disk: the system refuses the same write.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_nothing() {
        const FOLDER: &str = "FILES_TEST_FOLDER";
        if let Some(folder) = std::env::var_os(FOLDER) {
            let path = PathBuf::from(folder).join("file");
            let error = write(&path, true, &vec![1; 64 << 10]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("cannot write {}: ", path.display())),
                "{error}"
            );
            return;
        }
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "old").unwrap();
        let child = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "new_file::tests::a_full_disk_leaves_nothing"])
            .env(FOLDER, home.path())
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert_eq!(fs::read(home.path().join("file")).unwrap(), b"old");
        assert_eq!(names(home.path()), ["file"]);
    }

    #[test]
    fn a_writer_may_open_the_file_or_replace_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        write_at(&path, false, |scratch| fs::write(scratch, "written")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"written");
        write_at(&path, true, |scratch| {
            let other = home.path().join("other");
            fs::write(&other, "renamed")?;
            fs::rename(other, scratch)
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"renamed");
        assert_eq!(names(home.path()), ["file"]);
    }

    #[test]
    fn missing_folders_and_folders_as_targets_are_named() {
        let home = tempfile::tempdir().unwrap();
        let none = home.path().join("none");
        let error = write(&none.join("file"), false, b"").unwrap_err();
        assert_eq!(error.path(), none);
        assert_eq!(error.to_string(), format!("there is no folder {}", none.display()));
        for overwrite in [false, true] {
            let error = write(home.path(), overwrite, b"").unwrap_err();
            assert!(matches!(error, FileError::Folder { .. }), "{error}");
        }
    }

    #[test]
    fn a_path_that_ends_like_a_folder_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for name in ["none/", "none/deeper/", ".."] {
            let error = check_target(&home.path().join(name), true).unwrap_err();
            assert!(matches!(error, FileError::Folder { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn finished_files_and_folders_are_renamed() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("part"), "content").unwrap();
        fs::write(at("whole"), "old").unwrap();
        publish(&at("part"), &at("whole")).unwrap();
        assert_eq!(fs::read(at("whole")).unwrap(), b"content");
        fs::create_dir(at("folder")).unwrap();
        rename(&at("folder"), &at("renamed")).unwrap();
        assert_eq!(names(home.path()), ["renamed", "whole"]);
        let error = publish(&at("none"), &at("whole")).unwrap_err();
        assert_eq!(error.path(), at("none"));
        let error = rename(&at("none"), &at("whole")).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot create {}: ", at("whole").display())),
            "{error}"
        );
        assert_eq!(fs::read(at("whole")).unwrap(), b"content");
    }

    #[test]
    fn a_file_is_removed_if_there_is_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        remove(&path).unwrap();
        fs::write(&path, "").unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
        let error = remove(home.path()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot remove {}: ", home.path().display())),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_synced_is_complete_too() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let mut new = NewFile::create(&path, true).unwrap();
        new.file().write_all(b"content").unwrap();
        assert!(!path.exists());
        new.publish_unsynced().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_their_targets_are_written() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("other")).unwrap();
        fs::write(at("other/target"), "target").unwrap();
        for (link, target) in [("link", "other/target"), ("dangling", "none"), ("chain", "link")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
            assert!(matches!(write(&at(link), false, b""), Err(FileError::Exists { .. })));
            write(&at(link), true, link.as_bytes()).unwrap();
            assert!(at(link).is_symlink());
            assert_eq!(fs::read(at(target)).unwrap(), link.as_bytes());
            write_at(&at(link), true, |scratch| fs::write(scratch, "again")).unwrap();
            assert!(at(link).is_symlink());
            assert_eq!(fs::read(at(target)).unwrap(), b"again");
        }
        assert_eq!(names(&at("other")), ["target"]);
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        let error = write(&at("circle"), true, b"").unwrap_err().to_string();
        assert!(error.contains("circle"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_or_a_pipe_is_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let device = home.path().join("device");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        let pipe = home.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        let made = made.is_ok_and(|status| status.success());
        for path in [Some(&device), made.then_some(&pipe)].into_iter().flatten() {
            for overwrite in [false, true] {
                let error = write(path, overwrite, b"").unwrap_err();
                assert!(matches!(error, FileError::NotOrdinary { .. }), "{error}");
            }
        }
        assert!(device.is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_of_a_replaced_file_stay() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        fs::write(home.path().join("plain"), "").unwrap();
        let plain = fs::metadata(home.path().join("plain")).unwrap().permissions().mode() & 0o777;
        write(&path, false, b"").unwrap();
        assert_eq!(mode(), plain, "the user's mask decides");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write(&path, true, b"").unwrap();
        assert_eq!(mode(), 0o600);
        write_at(&path, true, |scratch| fs::write(scratch, "")).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
