//! Pages and sheets of pictures.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use image::RgbImage;
use trainer::plots::{self, ContactSheet};
use trainer::report::GalleryPage;

use crate::io::message::{self, printable};
use crate::io::target::Target;

/// A page (HTML) and a sheet (PNG) of pictures, where the command line asks for them.
pub struct Pages {
    html: Option<(Target, GalleryPage)>,
    sheet: Option<(Target, ContactSheet)>,
}

impl Pages {
    /// Refuses files that exist, before any work is done.
    pub fn open(title: &str, html: Option<&Path>, sheet: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        if let Some(sheet) = sheet.filter(|sheet| !plots::is_png(sheet)) {
            bail!(
                "{}: the sheet is written as PNG: give it a name that ends in .png",
                sheet.display()
            );
        }
        let target = |path: Option<&Path>| path.map(|path| Target::new(path, force)).transpose();
        Ok(Self {
            html: target(html)?.map(|target| (target, GalleryPage::new(title))),
            sheet: target(sheet)?.map(|target| (target, ContactSheet::new())),
        })
    }

    /// Whether there is one of them.
    pub fn wanted(&self) -> bool {
        self.html.is_some() || self.sheet.is_some()
    }

    /// Adds versions of a picture, each with a caption, and lines of text. The sheet shows the last version under the
    /// first line.
    pub fn add(&mut self, name: &str, pictures: &[(RgbImage, String)], lines: Vec<String>) -> anyhow::Result<()> {
        if let (Some((_, sheet)), Some((picture, _))) = (&mut self.sheet, pictures.last()) {
            sheet.add(picture, lines.first().cloned().unwrap_or_default());
        }
        if let Some((_, page)) = &mut self.html {
            page.add(&printable(name), pictures, lines)?;
        }
        Ok(())
    }

    /// Writes the files.
    pub fn finish(self) -> anyhow::Result<()> {
        if let Some((target, page)) = self.html {
            let page = page.html()?;
            target.publish(|file| file.write_all(page.as_bytes()))?;
        }
        if let Some((target, sheet)) = self.sheet {
            if sheet.left_out() > 0 {
                let warning = format!(
                    "{}: there is no room for {} more pictures",
                    target.path().display(),
                    sheet.left_out()
                );
                message::print("warning", &warning);
            }
            let png = sheet.png()?;
            target.publish(|file| file.write_all(&png))?;
        }
        Ok(())
    }
}
