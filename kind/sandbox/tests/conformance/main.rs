//! The sandbox against real Kubernetes: each case runs on both, and their answers are compared.
//!
//!   cargo test --workspace --test conformance              all cases
//!   … -- cases TEXT                                       those whose file or sentence contains TEXT
//!   … -- nodes [TEXT]                                     what runs in pods, on two running clusters, see `nodes`
//!   … -- fuzz [requests|owners]                           random operations of both campaigns or of one, see `fuzz`
//!   … --features sandbox/defects … -- defects [NAME]      deliberately wrong sandboxes, each to be noticed
//!
//! Exit codes: 0 as it must be, 1 a difference that is not explained, 2 something needed is missing.

mod arm;
mod cases;
mod compare;
#[cfg(feature = "defects")]
mod defects;
mod emulated;
mod explained;
mod fuzz;
mod memory;
mod nodes;
mod normal;
mod paths;
mod real;
mod run;
mod step;
mod stream;

use std::process::ExitCode;

/// The real programs end with the thread that starts them, so this one must be the main thread.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with('-')).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a machine that runs tests can start threads");
    match runtime.block_on(chosen(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn chosen(arguments: &[String]) -> anyhow::Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => cases::run("").await,
        #[cfg(feature = "defects")]
        ["defects"] => defects::run("").await,
        #[cfg(feature = "defects")]
        ["defects", name] => defects::run(name).await,
        ["fuzz"] => fuzz::run_all().await,
        ["fuzz", name] => fuzz::run_one(name).await,
        ["nodes", rest @ ..] => nodes::run(&rest.join(" ")).await,
        ["cases", rest @ ..] => cases::run(&rest.join(" ")).await,
        other => anyhow::bail!("unknown arguments {other:?}; see the head of tests/conformance/main.rs"),
    }
}
