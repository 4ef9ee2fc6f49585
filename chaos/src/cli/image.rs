//! `chaos image`: writes the archives of our images. Touches no cluster and no engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chaos::cluster::images;
use chaos::image::{self, ArchiveFile, ImageName, WrongOperators};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(
    after_help = "Each archive is an OCI image layout in one tar and is taken by\n  ctr --namespace k8s.io images import \
                  FILE\n  kind load image-archive FILE\n  docker load --input FILE\n  skopeo copy oci-archive:FILE \
                  docker://…\n\nThe same programs give the same bytes. All times are SOURCE_DATE_EPOCH, 1970 unless it is \
                  set. An image holds nothing but its programs, so they must be static, as all builds of this repository \
                  are. An operator built with the feature `mutants` is refused.\n\nOne line for each archive is printed: \
                  path, size of the image in bytes, name and digest of its manifest."
)]
pub(super) struct ImageArguments {
    /// Which images; `etcd` writes every version of the cache
    #[arg(value_enum, value_name = "IMAGE", default_values = ["operator", "chaos"])]
    images: Vec<ImageKind>,
    /// Where the archives go
    #[arg(long, value_name = "DIR", default_value = "target/images")]
    out: PathBuf,
    /// The etcd-operator binary, instead of the one beside this program
    #[arg(long, value_name = "FILE")]
    operator_binary: Option<PathBuf>,
    /// The chaos binary, instead of this program
    #[arg(long, value_name = "FILE")]
    chaos_binary: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ImageKind {
    /// The operator, which is also the start gate
    Operator,
    /// Load, probe and agent
    Chaos,
    /// etcd, etcdctl and etcdutl
    Etcd,
}

pub(super) fn image(arguments: &ImageArguments) -> Result<u8> {
    let created = image::created_seconds()?;
    let mut wanted = BTreeMap::new();
    for kind in &arguments.images {
        wanted.append(&mut match kind {
            ImageKind::Operator => images::operator(arguments.operator_binary.as_deref())?,
            ImageKind::Chaos => images::chaos(arguments.chaos_binary.as_deref())?,
            ImageKind::Etcd => images::etcd()?,
        });
    }
    for (name, source) in wanted {
        let mut image = image::from_source(&name, &source, created, WrongOperators::Refused)?;
        image.labels = labels(&image.name);
        let saved = image::save(&image, &arguments.out)?;
        show(&image.name, &saved)?;
    }
    Ok(0)
}

/// What registries and scanners show (OCI image specification, annotations.md).
fn labels(name: &ImageName) -> BTreeMap<String, String> {
    let label = |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
    BTreeMap::from([
        label("title", &name.familiar()),
        label("version", name.tag()),
        label("licenses", "Apache-2.0"),
    ])
}

fn show(name: &ImageName, saved: &ArchiveFile) -> Result<()> {
    let path =
        saved.path.canonicalize().with_context(|| format!("failed to resolve {}", saved.path.display()))?;
    let written = &saved.written;
    anstream::println!("{} {} {name}@{}", path.display(), written.layer_size, written.manifest);
    Ok(())
}
