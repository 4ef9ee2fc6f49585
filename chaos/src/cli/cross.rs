//! `chaos cross`: writes a scenario for each fault of others, carried out in the middle of an upgrade or downgrade. Runs none.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chaos::scenario::{self, EtcdVersion};
use clap::Args;

use super::plan::load;

#[derive(Debug, Args)]
pub(super) struct CrossArguments {
    /// Scenario files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The version of etcd that the clusters begin with
    #[arg(long, value_name = "VERSION")]
    from: EtcdVersion,
    /// The version that they are brought to while the fault comes
    #[arg(long, value_name = "VERSION")]
    to: EtcdVersion,
    /// The folder that the scenarios are written to; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn cross(arguments: &CrossArguments) -> Result<u8> {
    let loaded = arguments.files.iter().map(|file| load(file)).collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(&arguments.out)
        .with_context(|| format!("failed to make {}", arguments.out.display()))?;
    let (crossed, left_out) = scenario::cross(&loaded, &arguments.from, &arguments.to);
    for one in crossed {
        let file = arguments.out.join(format!("{}.yaml", one.name));
        fs::write(&file, &one.text).with_context(|| format!("failed to write {}", file.display()))?;
        anstream::println!("{} {}", one.name, one.of);
    }
    for one in left_out {
        anstream::eprintln!("{one}: {}", one.why);
    }
    Ok(0)
}
