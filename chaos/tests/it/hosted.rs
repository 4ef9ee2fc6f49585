//! The hosted workflows and the scripts that they call: what they do must be doable on any machine, so they only call `ci/`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct Workflow {
    permissions: BTreeMap<String, String>,
    jobs: BTreeMap<String, Job>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Job {
    timeout_minutes: u32,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    uses: Option<String>,
    run: Option<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn workflows() -> BTreeMap<String, Workflow> {
    let files = std::fs::read_dir(repository().join(".github/workflows")).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = serde_saphyr::from_str(&text);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    files.map(read).chain([to_copy()]).collect()
}

/// The workflow that the README offers to copy.
fn to_copy() -> (String, Workflow) {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, block) = readme.split_once("```yaml\non: push\n").expect("the README has a workflow to copy");
    let (text, _) = block.split_once("```").expect("the block ends");
    ("README.md".to_owned(), serde_saphyr::from_str(text).unwrap())
}

/// The word of a command that is a script of `ci/`, or nothing for what only prepares the hosted machine.
fn script(command: &str) -> Option<&str> {
    let words: Vec<&str> = command.split_whitespace().collect();
    if words.starts_with(&["sudo", "apt-get", "install"]) || pins_rust(command) {
        return None;
    }
    let found = words.iter().find(|word| word.starts_with("ci/"));
    Some(found.unwrap_or_else(|| panic!("a workflow calls something else than a script of ci/: {command}")))
}

/// Whether a command sets the version of Rust that the workspace is made for; a later one would find new lints.
fn pins_rust(command: &str) -> bool {
    command.starts_with(concat!("rustup toolchain install ", env!("CARGO_PKG_RUST_VERSION"), "."))
}

#[test]
fn hosted_workflows_use_the_rust_of_the_workspace() {
    for (name, workflow) in workflows() {
        for job in workflow.jobs.values() {
            assert!(job.steps.iter().filter_map(|step| step.run.as_deref()).any(pins_rust), "{name}");
        }
    }
}

#[test]
fn hosted_workflows_only_call_scripts_that_run_anywhere() {
    let workflows = workflows();
    assert_eq!(
        workflows.keys().collect::<Vec<_>>(),
        ["README.md", "advisories.yml", "ci.yml", "kind.yml", "release.yml"]
    );
    let mut scripts = Vec::new();
    for (name, workflow) in &workflows {
        for job in workflow.jobs.values() {
            assert!(job.timeout_minutes <= 90, "{name}");
            assert!(job.steps.iter().all(|step| step.uses.is_some() != step.run.is_some()), "{name}");
            scripts.extend(job.steps.iter().filter_map(|step| script(step.run.as_deref()?)));
        }
    }
    scripts.dedup();
    assert_eq!(
        scripts,
        ["ci/scenarios", "ci/advisories", "ci/test", "ci/scenarios", "ci/image", "ci/release"]
    );
    for script in scripts {
        let mode = std::fs::metadata(repository().join(script)).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{script} is not executable");
    }
}

#[test]
fn hosted_workflows_may_only_read_the_repository() {
    for (name, workflow) in workflows() {
        assert_eq!(
            workflow.permissions,
            BTreeMap::from([("contents".to_owned(), "read".to_owned())]),
            "{name}"
        );
    }
}
