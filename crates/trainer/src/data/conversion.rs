//! How to make a table of files that are none.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

const EXCEL: &str = "; save it as CSV: python -c \"import pandas; pandas.read_excel('FILE').to_csv('table.csv')\"";

const PARQUET: &str = "; a table of paths becomes CSV by python -c \"import pandas; \
                       pandas.read_parquet('FILE').to_csv('table.csv')\"; pictures in it (of Hugging Face) become \
                       folders by python -c \"import os, pandas; d = pandas.read_parquet('FILE'); \
                       [(os.makedirs(f'DATA/{c}', exist_ok=True), open(f'DATA/{c}/{i}.png', \
                       'wb').write(p['bytes'])) for i, (p, c) in enumerate(zip(d.image, d.label))]\", then name DATA";

const JSON_LINES: &str =
    "; save it as CSV: python -c \"import pandas; pandas.read_json('FILE', lines=True).to_csv('table.csv')\"";

const JSON: &str = "; save it as CSV, for a list of objects: python -c \"import pandas; \
                    pandas.read_json('FILE').to_csv('table.csv')\"; for names with labels: python -c \"import json, \
                    pandas; pandas.DataFrame(json.load(open('FILE')).items(), columns=['path', \
                    'label']).to_csv('table.csv')\"";

const COCO: &str = "; these are annotations in COCO's format: as a table, where each picture has objects of one class, \
                    by python -c \"import json, pandas; d = json.load(open('FILE')); \
                    p = {i['id']: i['file_name'] for i in d['images']}; \
                    c = {c['id']: c['name'] for c in d['categories']}; \
                    pandas.DataFrame(sorted({(p[a['image_id']], c[a['category_id']]) for a in d['annotations']}), \
                    columns=['path', 'label']).to_csv('table.csv', index=False)\"";

const YAML: &str = "; a YAML file beside pictures describes a data set of boxes (YOLO), not of classes: make a folder \
                    for each class";

/// What to do with a file that is no table, as the rest of a sentence, or empty. `ending` is in lower case.
pub(super) fn advice(path: &Path, ending: &str) -> &'static str {
    match ending {
        "zip" | "tar" | "gz" | "tgz" | "bz2" | "xz" | "7z" | "rar" => "; unpack this archive first",
        "xlsx" | "xls" | "ods" => EXCEL,
        "parquet" => PARQUET,
        "jsonl" | "ndjson" => JSON_LINES,
        "json" if is_coco(path) => COCO,
        "json" => JSON,
        "yaml" | "yml" => YAML,
        _ => "",
    }
}

/// What a folder without pictures holds instead, by the names of its files: the rest of a sentence, or empty.
pub(super) fn packed(root: &Path) -> String {
    const DEPTH: usize = 3;
    const LOOKED_AT: usize = 1000;
    let files = WalkDir::new(root).max_depth(DEPTH).into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file()).take(LOOKED_AT);
    let mut paths: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).collect();
    paths.sort_unstable();
    let found = paths.iter().find_map(|path| {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let what = match ending {
            "zip" | "tar" | "gz" | "tgz" | "bz2" | "xz" | "7z" | "rar" => "is an archive: unpack it first",
            "parquet" => "is a table that may hold the pictures: name it for the lines that make folders of it",
            "arrow" => "is of the `datasets` library of Hugging Face",
            "npz" | "npy" | "mat" | "h5" | "hdf5" => "is a file of arrays",
            "mdb" | "lmdb" => "is a database (LMDB)",
            _ if name.contains(".tfrecord") => "is a TFRecord of TensorFlow",
            _ if name.ends_with("-ubyte") => "is a file of MNIST's format",
            _ if name.starts_with("data_batch") => "is a pickle of CIFAR",
            _ => return None,
        };
        Some((path.display().to_string(), what))
    });
    match found {
        None => String::new(),
        Some((path, what)) if what.contains(':') => format!("; {path} {what}"),
        Some((path, what)) => format!(
            "; {path} {what}: write its pictures to files with the library that reads it, a folder for each class"
        ),
    }
}

/// Whether the beginning of a file has two of the three keys of COCO's annotations, in whatever order.
fn is_coco(path: &Path) -> bool {
    const BEGINNING: u64 = 1 << 20;
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let keys = ["\"images\"", "\"annotations\"", "\"categories\""];
    read.is_ok() && keys.iter().filter(|key| text.contains(*key)).count() >= 2
}

/// The line that joins the tables of this name in `folders` of the folder `root`, as the rest of a sentence.
pub(super) fn joined(root: &Path, folders: &[String], table: &str) -> String {
    format!(
        "; join the tables by python -c \"import pandas; pandas.concat(t.assign(split=d, **{{t.columns[0]: d + '/' + \
         t[t.columns[0]]}}) for d in ['{}'] for t in [pandas.read_csv(d + '/{table}', \
         skipinitialspace=True)]).to_csv('table.csv', index=False)\" in {}, then name {}",
        folders.join("', '"),
        root.display(),
        root.join("table.csv").display()
    )
}
