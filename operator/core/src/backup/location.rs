//! Where backups are kept: the URL of a store, parsed once. It opens nothing, and a URL never holds credentials.

use std::fmt;

/// A store and the folder in it below which everything of ours lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A bucket of Amazon S3, or of a service that speaks its language.
    S3(Bucket),
    /// A bucket of Google Cloud Storage.
    Gcs(Bucket),
    /// A container of Azure Blob Storage.
    Azure(Bucket),
    /// A folder, as of a mounted volume.
    Folder(String),
}

/// A bucket with a folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's or container's name.
    pub name: String,
    /// The folder, without slashes at its ends; empty for the bucket itself.
    pub folder: String,
}

/// Why a text is no location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLocation {
    /// It begins with none of the known schemes.
    #[error("it must begin with s3://, gs://, az:// or file:///")]
    Scheme,
    /// There is nothing after the scheme.
    #[error("it names no bucket")]
    NoBucket,
    /// It has a user or password in it.
    #[error("it must hold no credentials: they come from the environment")]
    Credentials,
    /// It has a query or a fragment.
    #[error("it must have no `?` and no `#`")]
    Query,
    /// A part of the path is empty or leads upwards.
    #[error("no part of its path may be empty, `.` or `..`")]
    Path,
    /// The folder of a file system does not begin at its root.
    #[error("a folder must be given from the root: file:///backups")]
    Relative,
}

impl Location {
    /// Reads `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder` or `file:///folder`.
    ///
    /// # Errors
    /// Why it is none of them.
    pub fn parse(text: &str) -> Result<Location, NoLocation> {
        let (scheme, rest) = text.split_once("://").ok_or(NoLocation::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(NoLocation::Query);
        }
        match scheme {
            "s3" => Ok(Location::S3(bucket(rest)?)),
            "gs" => Ok(Location::Gcs(bucket(rest)?)),
            "az" => Ok(Location::Azure(bucket(rest)?)),
            "file" => {
                let path = rest.strip_prefix('/').ok_or(NoLocation::Relative)?;
                Ok(Location::Folder(format!("/{}", path_of(path)?)))
            }
            _ => Err(NoLocation::Scheme),
        }
    }
}

fn bucket(rest: &str) -> Result<Bucket, NoLocation> {
    let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
    if name.contains(['@', ':']) {
        return Err(NoLocation::Credentials);
    }
    if name.is_empty() {
        return Err(NoLocation::NoBucket);
    }
    Ok(Bucket { name: name.to_owned(), folder: path_of(folder)? })
}

/// A path without the slash at its end.
fn path_of(path: &str) -> Result<String, NoLocation> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if !path.is_empty() && path.split('/').any(is_bad) {
        return Err(NoLocation::Path);
    }
    Ok(path.to_owned())
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket) = match self {
            Location::S3(bucket) => ("s3", bucket),
            Location::Gcs(bucket) => ("gs", bucket),
            Location::Azure(bucket) => ("az", bucket),
            Location::Folder(path) => return write!(formatter, "file://{path}"),
        };
        write!(formatter, "{scheme}://{}", bucket.name)?;
        if bucket.folder.is_empty() { Ok(()) } else { write!(formatter, "/{}", bucket.folder) }
    }
}

/// A store's answer for people: of the XML that stores answer with, what happened in their own words, and nothing that must not be
/// shown: requests to some stores carry a signature in the query of their address.
pub fn readable(text: &str) -> String {
    let text = without_queries(text);
    let Some((before, answer)) = text.split_once("<Error>") else { return text };
    let before = before.split("<?xml").next().unwrap_or_default().trim_end();
    let said: Vec<&str> = ["Code", "Message"].iter().filter_map(|name| element(answer, name)).collect();
    format!("{before} {}", said.join(": "))
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

fn without_queries(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at);
        let end = address.find(|letter: char| letter.is_whitespace() || letter == ')' || letter == '"');
        let (address, after) = address.split_at(end.unwrap_or(address.len()));
        let (plain, query) = address.split_once('?').map_or((address, false), |(plain, _)| (plain, true));
        shown.push_str(before);
        shown.push_str(plain);
        shown.push_str(if query { "?…" } else { "" });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_written_as_it_is_read() {
        for text in [
            "s3://bucket",
            "s3://bucket/a/b",
            "gs://b/c",
            "az://container/x",
            "file:///backups",
            "file:///a/b",
        ] {
            assert_eq!(Location::parse(text).map(|location| location.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Location::parse("s3://bucket/a/"), Location::parse("s3://bucket/a"));
    }

    #[test]
    fn what_is_no_location_is_refused_with_its_reason() {
        for (text, why) in [
            ("bucket", NoLocation::Scheme),
            ("https://bucket", NoLocation::Scheme),
            ("s3://", NoLocation::NoBucket),
            ("s3:///folder", NoLocation::NoBucket),
            ("s3://key:secret@bucket/a", NoLocation::Credentials),
            ("s3://bucket/a?region=x", NoLocation::Query),
            ("s3://bucket/a//b", NoLocation::Path),
            ("s3://bucket/../b", NoLocation::Path),
            ("file:///a/../b", NoLocation::Path),
            ("file://backups", NoLocation::Relative),
        ] {
            assert_eq!(Location::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn of_an_answer_in_xml_the_words_are_shown() {
        let said = "GET http://h/b?x=y in 1ms - 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>Check your key.</Message><StringToSign>AWS4</StringToSign></Error>";
        assert_eq!(
            readable(said),
            "GET http://h/b?… in 1ms - 403 Forbidden: SignatureDoesNotMatch: Check your key."
        );
        assert_eq!(readable("nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn a_signature_in_an_address_is_not_shown() {
        let said = "PUT https://host/c/x?sv=1&sig=secret failed (http://host/?sig=secret): 403";
        assert_eq!(without_queries(said), "PUT https://host/c/x?… failed (http://host/?…): 403");
        assert_eq!(without_queries("what? nothing"), "what? nothing");
    }
}
