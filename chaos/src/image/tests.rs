//! Archives are read back as a loader reads them, and compared with a digest that must never change by accident.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use assert_matches::assert_matches;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;

/// A 64-bit ELF head with the given machine and program header kinds.
fn elf(machine: u16, kinds: &[u32], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
    for kind in kinds {
        let mut header = vec![0; 56];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        bytes.extend(header);
    }
    bytes.extend(rest);
    bytes
}

fn image(folder: &Path) -> Image {
    std::fs::write(folder.join("tool"), b"a program").unwrap();
    std::fs::write(folder.join("data"), vec![7; 1000]).unwrap();
    let file = |name: &str, mode| ImageFile { source: folder.join(name), mode };
    Image {
        name: "example.org/tools/tool:v1".parse().unwrap(),
        architecture: Architecture::Amd64,
        files: BTreeMap::from([
            (PathBuf::from("/usr/local/bin/tool"), file("tool", 0o755)),
            (PathBuf::from("/etc/data"), file("data", 0o644)),
        ]),
        entrypoint: vec!["/usr/local/bin/tool".to_owned()],
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin".to_owned())]),
        user: Some(65532),
        labels: BTreeMap::from([("org.opencontainers.image.title".to_owned(), "tool".to_owned())]),
        created_seconds: 1_700_000_000,
    }
}

fn archive(image: &Image) -> (Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let written = write(image, &mut bytes).unwrap();
    (bytes, written)
}

/// Path, mode, modification time and content of every entry.
fn entries(tar: &[u8]) -> BTreeMap<String, (u32, u64, Vec<u8>)> {
    let mut archive = tar::Archive::new(Cursor::new(tar));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0), "owner of {path}");
        let (mode, time) = (entry.header().mode().unwrap(), entry.header().mtime().unwrap());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (path, (mode, time, content))
    };
    archive.entries().unwrap().map(entry).collect()
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The blob that a descriptor names, after its size and digest have been compared.
fn follow<'a>(blobs: &'a BTreeMap<String, (u32, u64, Vec<u8>)>, descriptor: &Value, kind: &str) -> &'a [u8] {
    assert_eq!(descriptor["mediaType"], kind);
    let digest = descriptor["digest"].as_str().unwrap();
    let (_, _, content) = &blobs[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(sha256(content), digest);
    assert_eq!(descriptor["size"], content.len());
    content
}

#[test]
fn a_loader_finds_everything_that_was_put_in() {
    let folder = TempDir::new().unwrap();
    let image = image(folder.path());
    let (bytes, written) = archive(&image);
    assert_eq!(written.archive.to_string(), sha256(&bytes));
    assert_eq!(written.archive_size, bytes.len() as u64);

    let blobs = entries(&bytes);
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(json(&blobs["oci-layout"].2)["imageLayoutVersion"], "1.0.0");
    let index = json(&blobs["index.json"].2);
    assert_eq!(index["schemaVersion"], 2);
    let described = &index["manifests"][0];
    assert_eq!(described["annotations"]["io.containerd.image.name"], "example.org/tools/tool:v1");
    assert_eq!(described["annotations"]["org.opencontainers.image.ref.name"], "v1");
    assert_eq!(described["digest"], written.manifest.to_string());
    let manifest = json(follow(&blobs, described, "application/vnd.oci.image.manifest.v1+json"));
    assert_eq!(manifest["schemaVersion"], 2);
    let configuration = follow(&blobs, &manifest["config"], "application/vnd.oci.image.config.v1+json");
    let layer = follow(&blobs, &manifest["layers"][0], "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(written.layer_size, layer.len() as u64);
    insta::assert_json_snapshot!(json(configuration));

    let files = entries(layer);
    let shown: Vec<_> = files
        .iter()
        .map(|(path, (mode, time, content))| (path.as_str(), *mode, *time, content.len()))
        .collect();
    let at = 1_700_000_000;
    assert_eq!(
        shown,
        [
            ("etc/", 0o755, at, 0),
            ("etc/data", 0o644, at, 1000),
            ("usr/", 0o755, at, 0),
            ("usr/local/", 0o755, at, 0),
            ("usr/local/bin/", 0o755, at, 0),
            ("usr/local/bin/tool", 0o755, at, 9),
        ]
    );
    assert_eq!(files["usr/local/bin/tool"].2, b"a program");

    let docker = json(&blobs["manifest.json"].2);
    assert_eq!(docker[0]["RepoTags"][0], "example.org/tools/tool:v1");
    assert_eq!(blobs[docker[0]["Config"].as_str().unwrap()].2, configuration);
    assert_eq!(blobs[docker[0]["Layers"][0].as_str().unwrap()].2, layer);
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_and_whenever() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (first, written) = archive(&image(here.path()));
    let (second, _) = archive(&image(there.path()));
    assert!(first == second);
    // Changes only with the format itself: every user of a digest would notice.
    assert_eq!(
        written.archive.to_string(),
        "sha256:dbcac3360daae11f4292b2b57fdbbe68f2d14b6b0c76a1747ef8ed2e7a393911"
    );
}

#[test]
fn content_and_time_are_part_of_the_digest() {
    let folder = TempDir::new().unwrap();
    let image = image(folder.path());
    let (_, before) = archive(&image);
    let (_, later) = archive(&Image { created_seconds: 1_700_000_001, ..image.clone() });
    std::fs::write(folder.path().join("tool"), b"another program").unwrap();
    let (_, other) = archive(&image);
    assert_ne!(before.manifest, later.manifest);
    assert_ne!(before.manifest, other.manifest);
}

#[test]
fn a_path_that_leads_out_of_the_image_is_refused() {
    let folder = TempDir::new().unwrap();
    for path in ["tool", "/", "/../tool", "/usr/../../tool"] {
        let mut image = image(folder.path());
        let file = image.files.values().next().unwrap().clone();
        image.files = BTreeMap::from([(PathBuf::from(path), file)]);
        assert!(write(&image, std::io::sink()).is_err(), "{path}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = TempDir::new().unwrap();
    let image = image(folder.path());
    std::fs::remove_file(folder.path().join("tool")).unwrap();
    let error = write(&image, std::io::sink()).unwrap_err();
    assert!(
        format!("{error:#}").contains("failed to open") && format!("{error:#}").contains("tool"),
        "{error:#}"
    );
}

#[test]
fn nothing_half_written_stays_on_disk() {
    let (sources, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let image = image(sources.path());
    let saved = save(&image, out.path()).unwrap();
    assert_eq!(saved.path, out.path().join("tool-v1.tar"));
    assert_eq!(sha256(&std::fs::read(&saved.path).unwrap()), saved.written.archive.to_string());
    std::fs::remove_file(&saved.path).unwrap();
    std::fs::remove_file(sources.path().join("data")).unwrap();
    assert!(save(&image, out.path()).is_err());
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn short_names_mean_what_container_engines_take_them_for() {
    let forms = |text: &str| {
        let name: ImageName = text.parse().unwrap();
        (name.familiar(), name.canonical(), name.file_name())
    };
    let expected = |familiar: &str, canonical: &str, file: &str| {
        (familiar.to_owned(), canonical.to_owned(), file.to_owned())
    };
    assert_eq!(forms("chaos:v1"), expected("chaos:v1", "docker.io/library/chaos:v1", "chaos-v1.tar"));
    assert_eq!(
        forms("chaos"),
        expected("chaos:latest", "docker.io/library/chaos:latest", "chaos-latest.tar")
    );
    assert_eq!(forms("team/chaos:v1"), expected("team/chaos:v1", "docker.io/team/chaos:v1", "chaos-v1.tar"));
    let local = "localhost:5000/chaos:v1";
    assert_eq!(forms(local), expected(local, local, "chaos-v1.tar"));
    let etcd = "quay.io/coreos/etcd:v3.6.16";
    assert_eq!(forms(etcd), expected(etcd, etcd, "etcd-v3.6.16.tar"));
    for wrong in ["", ":v1", "Chaos:v1", "chaos:", "a//b:v1", "chaos@sha256:00", "chaos:v 1"] {
        assert_matches!(wrong.parse::<ImageName>(), Err(message) if message.contains("REPOSITORY:TAG"), "{wrong}");
    }
}

#[test]
fn a_program_says_where_it_can_run() {
    let read = |bytes: &[u8]| Program::read(bytes);
    let fine = Program { architecture: Architecture::Amd64, is_static: true, is_wrong_operator: false };
    assert_eq!(read(&elf(62, &[1, 2], b"")), Ok(fine));
    assert_eq!(read(&elf(183, &[1], b"")), Ok(Program { architecture: Architecture::Arm64, ..fine }));
    assert_eq!(read(&elf(62, &[6, 3, 1], b"")), Ok(Program { is_static: false, ..fine }));
    let wrong = elf(62, &[1], binary::wrong_operator_mark().as_bytes());
    assert_eq!(read(&wrong), Ok(Program { is_wrong_operator: true, ..fine }));
    assert_matches!(read(b"#!/bin/sh"), Err(reason) if reason.contains("no ELF file"));
    assert_matches!(read(&elf(40, &[1], b"")), Err(reason) if reason.contains("ELF machine 40"));
    assert_matches!(read(&elf(62, &[1], b"")[..66]), Err(reason) if reason.contains("cut off"));
    assert_matches!(read(b"\x7fELF\x02\x01"), Err(reason) if reason.contains("cut off"));
}

#[test]
fn the_mark_of_wrong_operators_is_what_such_an_operator_says() {
    let arguments = include_str!("../../../operator/src/args.rs");
    assert!(arguments.contains(&format!(" ({})", binary::wrong_operator_mark())));
}

#[test]
fn only_programs_that_run_on_nothing_but_a_kernel_get_into_an_image() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tool");
    let source = sandbox::ImageSource {
        files: BTreeMap::from([(PathBuf::from("/tool"), file.clone())]),
        entrypoint: vec!["/tool".to_owned()],
        ..Default::default()
    };
    let make = |bytes: &[u8], wrong_operators| {
        std::fs::write(&file, bytes).unwrap();
        from_source(&"tool:v1".into(), &source, 0, wrong_operators).map_err(|error| format!("{error:#}"))
    };
    let refused = WrongOperators::Refused;
    let image = make(&elf(183, &[1], b""), refused).unwrap();
    assert_eq!(image.architecture, Architecture::Arm64);
    assert_eq!(image.files[Path::new("/tool")], ImageFile { source: file.clone(), mode: 0o755 });
    assert_matches!(make(&elf(62, &[3], b""), refused), Err(message) if message.contains("dynamic loader"));
    assert_matches!(make(b"#!/bin/sh", refused), Err(message) if message.contains("no ELF file"));

    let wrong = elf(62, &[1], binary::wrong_operator_mark().as_bytes());
    assert_matches!(make(&wrong, refused), Err(message) if message.contains("feature `mutants`"));
    assert!(make(&wrong, WrongOperators::AllowedInTestCluster).is_ok());
}
