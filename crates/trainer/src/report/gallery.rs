//! A page of pictures with lines of text, in one file.

use image::RgbImage;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::data_uri;
use super::error::ReportError;

const TEMPLATE: &str = include_str!("gallery.html");
const STYLE: &str = include_str!("page.css");

/// A page of pictures in the making. The page holds thumbnails of about 30 kB.
#[derive(Debug, Default, Serialize)]
pub struct GalleryPage {
    title: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    /// The pictures as data URIs, each with a caption.
    pictures: Vec<(String, String)>,
    lines: Vec<String>,
}

impl GalleryPage {
    /// A page without pictures.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            entries: Vec::new(),
        }
    }

    /// Adds an entry: its name, versions of a picture with their captions, and lines of text.
    ///
    /// # Errors
    ///
    /// A [`ReportError`]: a picture cannot be encoded.
    pub fn add(&mut self, name: &str, pictures: &[(RgbImage, String)], lines: Vec<String>) -> Result<(), ReportError> {
        let pictures = pictures
            .iter()
            .map(|(picture, caption)| Ok((data_uri::thumbnail(picture)?, caption.clone())))
            .collect::<Result<_, ReportError>>()?;
        self.entries.push(Entry {
            name: name.to_owned(),
            pictures,
            lines,
        });
        Ok(())
    }

    /// The page.
    ///
    /// # Errors
    ///
    /// A [`ReportError`]: the page cannot be rendered.
    pub fn html(&self) -> Result<String, ReportError> {
        #[derive(Serialize)]
        struct Page<'a> {
            style: &'static str,
            #[serde(flatten)]
            page: &'a GalleryPage,
        }
        let mut environment = Environment::new();
        // The names of classes and files are untrusted.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template("gallery.html", TEMPLATE)?;
        let page = Page {
            style: STYLE,
            page: self,
        };
        Ok(environment.get_template("gallery.html")?.render(Serde(&page))?)
    }
}
